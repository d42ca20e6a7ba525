"""From manifests to jobs that are ready to run: policy, data and size are settled before anything starts."""
