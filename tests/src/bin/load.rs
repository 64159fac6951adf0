//! Loads an echo server and prints the results. Best built for release.

use core::time::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};
use tests::load::{self, Options, Plan, Progress, Report, Traffic, USAGE};

fn main() -> ExitCode {
    let options = match load::options(env::args_os()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("load: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match measure(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: Options) -> Result<(), String> {
    let Options {
        mut plan,
        json,
        plot,
    } = options;
    plan.server = plan.server.or_else(|| load::usage::listener(plan.address));
    let report = with_bar(&plan).map_err(|error| error.to_string())?;
    print!("{report}");
    if let Some(path) = json {
        write(&path, &format!("{:#}\n", report.json()))?;
    }
    if let Some(path) = plot {
        picture(&path, &report)?;
    }
    report.judge()
}

/// Runs it with a bar on standard error, if that is a terminal.
fn with_bar(plan: &Plan) -> Result<Report, load::LoadError> {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let all = match plan.traffic {
        Traffic::Echo { connections, .. } => connections,
        Traffic::Churn { clients, .. } => clients,
        Traffic::Fair { bulk, .. } => bulk,
    };
    let bar = ProgressBar::new(all.into());
    bar.set_style(style("connecting {wide_bar} {pos}/{len}"));
    let length = plan.warm_up + plan.window;
    let mut measuring = false;
    let report = load::run(plan, &mut |progress| match progress {
        Progress::Connected(n) => bar.set_position(n.into()),
        Progress::Elapsed(time) => {
            if !measuring {
                measuring = true;
                bar.set_length(millis(length));
                bar.set_style(style("measuring  {wide_bar} {percent} %"));
            }
            bar.set_position(millis(time));
        }
    });
    bar.finish_and_clear();
    report
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(feature = "bench")]
fn picture(path: &Path, report: &Report) -> Result<(), String> {
    let svg = tests::bench::pictures::latency(report)?;
    write(path, &svg)
}

#[cfg(not(feature = "bench"))]
fn picture(path: &Path, _: &Report) -> Result<(), String> {
    let path = path.display();
    Err(format!(
        "{path}: this was built without pictures; run it with `cargo run --release -p tests --features bench --bin load`"
    ))
}
