//! The same tables as a page that needs nothing else: no script, no font, no picture from anywhere.

use super::Shown;
use super::run::{Cell, End, Outcome, Verdict};
use core::fmt::Write;

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #1a7f37; --bad: #cf222e; --warn: #9a6700; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; font-size: .9rem; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
th { background: var(--soft); }
td.step, td.left, code { font-family: ui-monospace, monospace; }
td.step, td.left { white-space: nowrap; }
tr.server { background: var(--soft); }
.verdict { font-weight: bold; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #f85149; --warn: #d29922; } }
";

/// The whole page.
pub(crate) fn page(all: &[Shown]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Level and edge, seen</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Level and edge, seen</h1>\n\
         <p>Which readiness events come when, and what is left unread: by a program that does what the script says, and with \
         tidegate, each on a kernel of its own.</p>\n"
    );
    if all.len() > 1 {
        page += "<ul>\n";
        for (number, shown) in all.iter().enumerate() {
            let (id, title) = (id(shown, number), escape(title(shown)));
            let _ = writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
        }
        page += "</ul>\n";
    }
    for (number, shown) in all.iter().enumerate() {
        section(&mut page, shown, &id(shown, number));
    }
    page += "</body>\n</html>\n";
    page
}

fn id(shown: &Shown, number: usize) -> String {
    let name = shown.lesson.map(|lesson| lesson.name.to_owned());
    name.unwrap_or_else(|| format!("script-{number}"))
}

fn title(shown: &Shown) -> &str {
    shown
        .lesson
        .map_or(shown.script.text.as_str(), |lesson| lesson.title)
}

fn section(page: &mut String, shown: &Shown, id: &str) {
    let _ = writeln!(
        page,
        "<section id=\"{id}\">\n<h2>{}</h2>",
        escape(title(shown))
    );
    if let Some(lesson) = shown.lesson {
        let _ = writeln!(page, "<p>{}</p>", escape(lesson.says));
    }
    let _ = writeln!(page, "<p><code>{}</code></p>", escape(&shown.script.text));
    for run in &shown.runs {
        for (kernels, outcome) in run.distinct() {
            let name = run.way.name();
            let _ = writeln!(
                page,
                "<h3>{name}</h3>\n<p>{}; on {kernels}.</p>",
                run.way.means()
            );
            table(page, outcome);
        }
    }
    page.push_str("</section>\n");
}

fn table(page: &mut String, outcome: &Outcome) {
    page.push_str(
        "<table>\n<thead><tr><th></th><th>step</th><th>the program</th><th>unread</th>\
         <th>with tidegate</th><th>unread</th></tr></thead>\n<tbody>\n",
    );
    let cell = |cell: &Cell| {
        let (said, left) = (escape(&cell.said), escape(&cell.left));
        format!("<td>{said}</td><td class=\"left\">{left}</td>")
    };
    for (number, row) in outcome.rows.iter().enumerate() {
        let actor = if row.step.starts_with("server") {
            "server"
        } else {
            "client"
        };
        let _ = writeln!(
            page,
            "<tr class=\"{actor}\"><td>{}</td><td class=\"step\">{}</td>{}{}</tr>",
            number + 1,
            escape(&row.step),
            cell(&row.program),
            cell(&row.library),
        );
    }
    let _ = writeln!(
        page,
        "<tr class=\"server\"><td></td><td>both go on</td><td colspan=\"2\">{}</td><td colspan=\"2\">{}</td></tr>",
        escape(&outcome.program.said),
        escape(&outcome.library.said),
    );
    let end = |end: &End| {
        let class = match end.verdict {
            Verdict::Fine => "good",
            Verdict::Reported => "warn",
            Verdict::Loses
            | Verdict::Spins
            | Verdict::Starves
            | Verdict::Blocks
            | Verdict::Mixes
            | Verdict::Dies => "bad",
        };
        let why = escape(&end.why);
        format!(
            "<td colspan=\"2\"><span class=\"verdict {class}\">{}</span>: {why}</td>",
            end.verdict
        )
    };
    let _ = writeln!(
        page,
        "<tr><td></td><td>in the end</td>{}{}</tr>\n</tbody>\n</table>",
        end(&outcome.program),
        end(&outcome.library),
    );
}

/// What stands for itself in a page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
