"""The engines beside other libraries: how fast, and how the cost grows.

    Settings -> processes of their own (threads are set before NumPy is loaded)
             -> lines of speed, first use, growth -> BenchReport

A candidate, this package's own engine among them, is a file in `peers/` of one form; `measuring`
compares what the candidates compute and then has them take turns.
"""
