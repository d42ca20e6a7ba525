#!/bin/sh
# Takes out of an environment what no solver can use: `trim.sh FOLDER`. Runs where the image is built, after pip has checked
# the wheels' hashes. Licences and metadata stay.
set -eu
cd "$1"

# dimod and dwave-samplers come with symbols that only a linker or a debugger reads. Not for all libraries: those that were
# repaired to find bundled ones do not load any more once they are stripped.
if ! command -v strip > /dev/null; then
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends binutils > /dev/null
fi
find dimod dwave -type f -name '*.so' -exec strip --strip-unneeded {} +

# What only a developer, a compiler or a type checker reads.
find . -type d \( -name tests -o -name test \) -prune -exec rm -r {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.tp' -o -name '*.c' -o -name '*.cpp' \
  -o -name '*.h' -o -name '*.hpp' -o -name '*.a' -o -name '*.interp' -o -name '*.tokens' \) -delete

# openqasm3 holds a parser for each version of ANTLR's runtime; one is installed.
antlr=$(echo antlr4_python3_runtime-*.dist-info | sed 's/.*-\([0-9]*\)\.\([0-9]*\).*/_\1_\2/')
test -d "openqasm3/_antlr/$antlr"
find openqasm3/_antlr -mindepth 1 -maxdepth 1 -type d -name '_*_*' ! -name "$antlr" -exec rm -r {} +

# The sample data of scikit-learn.
rm -rf sklearn/datasets/data sklearn/datasets/images sklearn/datasets/descr
