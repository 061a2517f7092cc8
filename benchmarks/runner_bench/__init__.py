"""The parts of `benchmarks/runner.py`: the job, the variants, the measuring, the report."""
