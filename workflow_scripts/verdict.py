"""Say how the run ended; fail if any method failed, so that the exit code of Snakemake says it too."""

from svae.errors import BenchmarkError
from svae.files import read_table, replacing
from svae.words import ENDED_WELL
from svae.workflow.logs import start

start(snakemake.log[0])
status = read_table(snakemake.input.status)
bad = status[~status["status"].isin(ENDED_WELL)]
if len(bad):
    methods = ", ".join(sorted(set(bad["method"])))
    first = bad.iloc[0]
    raise BenchmarkError(
        f"{snakemake.input.status}: {len(bad)} of {len(status)} fits did not end well ({methods}); "
        f"the first is one of {first['method']}: {first['message']}; {snakemake.input.completeness} has "
        "the reason and the log of each loss, the report shows the others, and `make retry` tries these again"
    )
with replacing(snakemake.output[0]) as path:
    path.write_text(f"all {len(status)} fits ended well\n", encoding="utf-8")
print(f"all {len(status)} fits ended well")
