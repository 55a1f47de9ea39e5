"""How the page looks: one style sheet, dark or light as the browser wishes, from a telephone's width upwards.

It stands in the page itself and is all that the page's content security policy allows: no script, nothing from anywhere.
"""

from base64 import b64encode
from hashlib import sha256

__all__ = ["HEADERS", "STYLE"]

STYLE = """
:root{color-scheme:light dark;--ink:#1d2330;--dim:#626d80;--line:#e2e6ee;--paper:#f5f7fa;--sheet:#fff;--link:#1f5fbf;
--bad:#c0272d;--badpaper:#fdecec;--warn:#8a5a00;--warnpaper:#fff5dc;--server:#2f8f9d;--client:#4a72d6;--internal:#94a0b3}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8f0;--dim:#94a0b3;--line:#2b3342;--paper:#11151c;--sheet:#191f29;--link:#86b4ff;
--bad:#ff7b7b;--badpaper:#371c20;--warn:#f0c267;--warnpaper:#33290f;--server:#43b3c2;--client:#7a9cf0;--internal:#66728a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
overflow-wrap:anywhere}
main{max-width:1360px;margin:0 auto;padding:20px 16px 48px}
a{color:var(--link);text-decoration:none}tr.bad .what,tr.bad .what a{color:var(--bad)}a:hover{text-decoration:underline}
h1{font-size:22px;margin:0;line-height:1.25}
h2{font-size:15px;margin:28px 0 8px}h2 small,.dim{color:var(--dim);font-weight:400;font-size:13px}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:10px 0 16px}
.note{margin:8px 0;padding:8px 12px;border-radius:8px;background:var(--warnpaper);color:var(--warn)}
.note.bad{background:var(--badpaper);color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px}
.card{background:var(--sheet);border:1px solid var(--line);border-radius:10px;padding:10px 12px}
.card b{display:block;font-size:19px;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.card span{color:var(--dim);font-size:12px}
.sheet{background:var(--sheet);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.groups{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:10px}
table{width:100%;border-collapse:collapse}
th{font-weight:500;font-size:12px;color:var(--dim);text-align:left}
th,td{padding:5px 10px;vertical-align:baseline}
tr+tr td,tbody tr td{border-top:1px solid var(--line)}
thead+tbody tr:first-child td,table>tbody:first-child>tr:first-child td{border-top:0}
thead th{border-bottom:1px solid var(--line)}
.rows td,.rows th{overflow-wrap:break-word}.rows .what{overflow-wrap:anywhere;min-width:180px}
.way,.why{font-size:13px}.why,.end{white-space:nowrap}.way{min-width:150px;max-width:420px}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.t,.s{white-space:nowrap;font-variant-numeric:tabular-nums}
.bad,.bad a,tr.bad .s{color:var(--bad)}tr.bad{color:inherit}
.unsampled .what a,.unsampled .what{color:var(--dim)}
.id{color:var(--dim);white-space:nowrap}
.empty{padding:14px 12px;color:var(--dim)}
details>summary{cursor:pointer;padding:7px 12px;color:var(--dim)}
.fall>details>summary,.axis{display:grid;
grid-template-columns:minmax(220px,28%) 72px minmax(60px,150px) 76px 1fr;gap:0 12px;align-items:center;
padding:6px 12px;color:var(--ink);list-style:none}
.fall>details>summary::-webkit-details-marker{display:none}
.fall>details+details{border-top:1px solid var(--line)}
.fall>details>summary:hover{background:var(--paper)}
.fall .tree{white-space:pre-wrap}.axis{border-bottom:1px solid var(--line);color:var(--dim);font-size:12px}
.axis .scale{display:flex;justify-content:space-between}
svg{display:block;width:100%;height:12px;background:var(--paper);border-radius:3px}
rect.server{fill:var(--server)}rect.client{fill:var(--client)}rect.internal{fill:var(--internal)}rect.error{fill:var(--bad)}
.facts{padding:2px 12px 12px 28px}.facts td:first-child{color:var(--dim);width:32%}
.facts td{padding:3px 8px;border-top:1px solid var(--line)}
footer{margin-top:28px;color:var(--dim)}
.one .id{display:none}
@media(max-width:1200px){.rows .id{display:none}}
@media(max-width:760px){
.rows thead{display:none}
.rows tr{display:grid;grid-template-columns:auto 1fr auto;gap:0 10px;padding:7px 12px;border-top:1px solid var(--line)}
.rows tbody tr:first-child{border-top:0}
.rows td{display:block;padding:0;border:0!important}.rows .what,.rows .way{min-width:0}.rows .id{display:none}
.rows .s{order:1}.rows .what{order:2}.rows .n{order:3}
.rows .t,.rows .way,.rows .end,.rows .why{order:4;font-size:12px;color:var(--dim)}
.rows .way{grid-column:2}.rows .t{grid-column:1}.rows .why{grid-column:3;text-align:right}.rows .end{display:none}
.fall>details>summary,.axis{grid-template-columns:1fr auto auto}
.fall>details>summary svg,.axis .scale{grid-column:1/-1}.fall .kind,.axis .kind,.axis .head{display:none}
.facts{padding-left:12px}.settings td{display:block;padding:1px 12px}.settings td:first-child{padding-top:6px}
.settings td:last-child{padding-bottom:6px}.settings td+td{border-top:0!important}.settings thead{display:none}
}
"""

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every page: what a hostile path could smuggle into it would not run."""
