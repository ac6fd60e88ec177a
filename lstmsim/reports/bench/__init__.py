"""The engines beside other libraries: how fast, and how the cost grows.

    Settings -> a process of its own (threads are set before NumPy is loaded)
             -> speed, first use, ways, growth -> BenchReport

A candidate, this package's own engine among them, is a file in `peers/` of one form; `speed`
compares what the candidates compute and then has them take turns.
"""
