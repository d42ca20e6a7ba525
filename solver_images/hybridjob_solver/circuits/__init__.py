"""Circuits: their gates, how they are read from and written as OpenQASM, and an exact simulator.

* `gates`        the closed set of basic gates, and every other gate in terms of them
* `model`        a circuit as a value, written as the OpenQASM 3 in which it crosses to a backend
* `reader`       OpenQASM 2 and 3 to that value, statement by statement
* `unroll`       calls of gates, down to basic ones
* `names`, `conditions`, `expressions`  what statements are made of
* `statevector`  the state that an ideal circuit prepares, in numpy
* `outcomes`     the exact distribution of its measurements
"""
