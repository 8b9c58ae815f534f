"""One file for each framework. They translate between its objects and `ostiary.verifier`, and decide nothing."""
