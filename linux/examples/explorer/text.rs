//! What a terminal shows, and lines for other programs.

use super::Shown;
use super::run::{End, Outcome};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use core::fmt::Write;

/// Columns of a terminal.
const WIDTH: u16 = 120;

/// A script and its result, as a table for each way.
pub(crate) fn tables(shown: &Shown) -> String {
    let mut text = String::new();
    if let Some(lesson) = shown.lesson {
        let _ = writeln!(
            text,
            "{} (--lesson {})\n{}",
            lesson.title,
            lesson.name,
            filled(lesson.says)
        );
    }
    let _ = writeln!(text, "script: {}\n", shown.script.text);
    for run in &shown.runs {
        for (kernels, outcome) in run.distinct() {
            let _ = writeln!(
                text,
                "{}: {}, on {kernels}",
                run.way.name(),
                run.way.means()
            );
            let _ = writeln!(text, "{}\n", table(outcome));
        }
    }
    text
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header([
        "",
        "step",
        "the program",
        "unread",
        "with tidegate",
        "unread",
    ]);
    for (number, row) in outcome.rows.iter().enumerate() {
        let (program, library) = (&row.program, &row.library);
        table.add_row([
            &(number + 1).to_string(),
            &row.step,
            &program.said,
            &program.left,
            &library.said,
            &library.left,
        ]);
    }
    let (program, library) = (&outcome.program.said, &outcome.library.said);
    table.add_row(["", "both go on", program, "", library, ""]);
    let end = |end: &End| format!("{}: {}", end.verdict.to_string().to_uppercase(), end.why);
    let (program, library) = (end(&outcome.program), end(&outcome.library));
    table.add_row(["", "in the end", &program, "", &library, ""]);
    for column in table.column_iter_mut().take(2) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// Words in lines that are no wider than a table.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if width > 0 {
            let fits = width + 1 + len <= usize::from(WIDTH);
            filled.push(if fits { ' ' } else { '\n' });
            width = if fits { width + 1 } else { 0 };
        }
        filled.push_str(word);
        width += len;
    }
    filled
}

/// The same as lines of fields, with tabs between them: the lesson, the kernel, the way, the number of the step (or
/// `end`), the step; then for the program and for the library its log and what was left (at the end: the verdict, and
/// why). The log after the last step has the number `then`.
pub(crate) fn lines(shown: &Shown) -> String {
    let mut text = String::new();
    let name = shown.lesson.map_or("script", |lesson| lesson.name);
    for run in &shown.runs {
        for (kernel, outcome) in &run.outcomes {
            let head = format!("{name}\t{kernel}\t{}", run.way.name());
            for (number, row) in outcome.rows.iter().enumerate() {
                let (program, library) = (&row.program, &row.library);
                let _ = writeln!(
                    text,
                    "{head}\t{}\t{}\t{}\t{}\t{}\t{}",
                    number + 1,
                    row.step,
                    program.said,
                    program.left,
                    library.said,
                    library.left,
                );
            }
            let (program, library) = (&outcome.program, &outcome.library);
            let (on, also) = (&program.said, &library.said);
            let _ = writeln!(text, "{head}\tthen\t\t{on}\t\t{also}\t");
            let _ = writeln!(
                text,
                "{head}\tend\t\t{}\t{}\t{}\t{}",
                program.verdict, program.why, library.verdict, library.why,
            );
        }
    }
    text
}
