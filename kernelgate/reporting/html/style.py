"""How the pages look: one column, system fonts, one accent colour by the class of the verdict."""

PALETTE = """
:root {
  color-scheme: light dark;
  --paper: #fcfcfa; --ink: #1b1c1a; --soft: #5a5b56; --line: #dddcd5; --wash: #f2f1ec;
  --pass: #1a6b3c; --fail: #b3261e; --unsure: #855100; --blue: #1f5fae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161715; --ink: #e9e8e3; --soft: #a8a79f; --line: #3a3b37; --wash: #20211e;
    --pass: #6fce92; --fail: #ff8f84; --unsure: #eeb64f; --blue: #86b6f4;
  }
}
"""

PAGE = """
.pass { --accent: var(--pass); } .fail { --accent: var(--fail); } .unsure { --accent: var(--unsure); }
* { box-sizing: border-box; }
body {
  margin: 0; border-top: .4rem solid var(--accent);
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; }
code, .path { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; }
.kind { margin: 0; color: var(--soft); font-size: .9rem; }
h1 { margin: .2rem 0 0; line-height: 1.1; }
.verdict {
  display: block; color: var(--accent); font-size: clamp(2.2rem, 8vw, 3.6rem); letter-spacing: -.02em;
}
h1 .path { display: block; margin-top: .5rem; font-size: 1rem; font-weight: 400; }
.number-first {
  margin: 1rem 0 0; font-size: clamp(1.4rem, 5vw, 2rem); font-weight: 600; line-height: 1.25;
  text-wrap: balance;
}
.number-first small {
  display: block; color: var(--soft); font-size: 1rem; font-weight: 400; text-wrap: wrap;
}
.why, .do { margin: 1rem 0 0; max-width: 46rem; }
.do { padding: .8rem 1rem; border-left: .25rem solid var(--accent); background: var(--wash); }
section { margin-top: 3rem; }
h2 { margin: 0 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); font-size: 1.25rem; }
h3 { margin: 1.5rem 0 .4rem; font-size: 1rem; }
p, ul { max-width: 46rem; }
.note, figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; }
ul { padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td {
  overflow-wrap: normal; padding: .35rem 1rem .35rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 500; }
.number { text-align: right; } td.number, .figures tbody :is(th, td) { white-space: nowrap; }
thead .number { min-width: 5rem; }
.facts tbody th { width: 12rem; padding-right: 1rem; }
.facts thead { position: absolute; clip-path: inset(50%); }
.facts td, .said td:last-child { overflow-wrap: anywhere; }
.said td:nth-child(2) { white-space: nowrap; }
.figures tbody td:last-child { min-width: 8rem; white-space: normal; }
.replicates tbody td:last-child { min-width: 16rem; }
tbody th { min-width: 9rem; }
.said tbody th, .facts tbody th { min-width: 0; }
tbody th small { display: block; white-space: normal; color: var(--soft); font-weight: 400; }
.held, .not-tried { color: var(--soft); } .broken { color: var(--fail); font-weight: 600; }
details { margin: .8rem 0; }
summary { cursor: pointer; padding: .3rem 0; font-weight: 500; }
.counts {
  display: flex; flex-wrap: wrap; gap: .3rem .5rem;
  max-width: none; margin: 0; padding: 0; list-style: none;
}
.counts li { padding: .05rem .5rem; background: var(--wash); border-radius: .3rem; font-size: .9rem; }
.counts b { font-variant-numeric: tabular-nums; }
.counts .none { background: none; outline: 1px dashed var(--soft); outline-offset: -1px; color: var(--soft); }
figure { margin: 1.2rem 0; }
.chart { display: block; overflow: visible; width: calc(100% - 4rem); margin: 2.6rem 1rem 3rem 3rem; }
.chart.named { width: calc(100% - 6.5rem); margin-left: 5.5rem; }
.chart svg { overflow: visible; }
@media (max-width: 40rem) {
  table { font-size: .85rem; }
  th, td { padding-right: .5rem; }
  thead .number { min-width: 0; }
  .said:not(.laws) :is(th, td):nth-child(4) { display: none; }
  .facts tbody th { width: 7rem; }
}
"""

CHARTS = """
.chart text, .picture text { fill: var(--soft); font-variant-numeric: tabular-nums; }
.chart text { font-size: 12px; }
.chart .strong, .chart text.candidate { fill: var(--ink); font-weight: 600; }
.chart text.other { fill: var(--ink); }
.grid { stroke: var(--line); } .axis, .roof { stroke: var(--ink); } .roof { stroke-width: 1.5; }
.under, .leader { stroke: var(--soft); } .under { stroke-dasharray: 2 4; }
.zone { fill: none; } .zone.noise { fill: var(--wash); }
.zone.loss { fill: var(--fail); fill-opacity: .1; } .zone.gain { fill: var(--pass); fill-opacity: .1; }
.rule { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 3; }
.rule.loss { stroke: var(--fail); } .rule.gain { stroke: var(--pass); }
.interval { stroke: var(--ink); stroke-width: 3; } .interval.end { stroke-width: 2; }
.estimate { fill: var(--ink); } .replicate { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
.arm.other { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; } .arm.candidate { fill: var(--ink); }
.fault { max-width: 30rem; }
.picture { display: block; width: 100%; }
.plane { fill: none; stroke: var(--soft); stroke-width: .1; }
.cell { shape-rendering: crispEdges; }
.cell.right { fill: var(--line); } .cell.wrong { fill: var(--fail); } .cell.unwritten { fill: url(#hatched); }
.stripe { stroke: var(--unsure); stroke-width: .35; fill: none; }
.key { white-space: nowrap; }
.key::before {
  content: ""; display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 .8em;
  border: 1px solid var(--soft);
}
.key.right::before { background: var(--line); } .key.wrong::before { background: var(--fail); }
.key.unwritten::before {
  background: repeating-linear-gradient(135deg, var(--unsure) 0 2px, transparent 2px 4px);
}
.meter { display: block; height: 4px; margin: .2rem 0 0 auto; width: 4rem; background: var(--line); }
.meter rect { fill: var(--soft); } .meter.full rect { fill: var(--unsure); }
.share { display: block; width: 8rem; height: .8rem; margin-top: .35rem; }
.share rect { fill: var(--soft); }
.step { stroke: var(--ink); stroke-width: 2; } .error { stroke: var(--ink); }
.best { stroke: var(--pass); stroke-dasharray: 4 3; } .limit { stroke: var(--fail); stroke-dasharray: 4 3; }
.run { stroke: var(--soft); stroke-dasharray: 2 3; }
.today { fill: var(--paper); stroke: var(--blue); stroke-width: 2; }
"""

STYLE = PALETTE + PAGE + CHARTS
"""Of a page; a drawing that stands alone needs PALETTE and CHARTS."""
