"""A small job from Python, about a minute on two idle cores. The whole job: leave `settings` and `rounds` out."""

import dsa_lite

few = {"textbooks": {"per_skill": 1}, "exercises": {"single_per_skill": 3, "composed_per_skill": 0}}
few |= {"graph.expand": False, "evaluate.limit": 10}
run = dsa_lite.run("calculus", out="runs/from-python", rounds=1, settings=few, on_event=print)
for name, after in run.summary["after"].items():
    print(f"{name}: {run.summary['before'][name]['accuracy']:.0%} before, {after['accuracy']:.0%} after")
print("hard:", *[row["problem"] for row in run.data_map() if row["region"] == "hard"][:3], sep="\n  ")
print("Differentiate 3x^2:", run.ask("Differentiate 3x^2."), "| before:", run.ask("Differentiate 3x^2.", before=True))
print("all of it in a browser:", run.report)
