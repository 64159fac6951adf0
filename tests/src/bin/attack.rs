//! Plays attacks on the program, and prints what a well-behaved client saw of them. Best built for release.

use core::time::Duration;
use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use std::process::ExitCode;
use tests::attack::{ATTACKS, Attack, Churn, Length, Report};

const USAGE: &str = "\
Usage: attack [--attack NAME] [--seconds N] [--count N]

  --attack NAME   one of the attacks listed below, or churn [all]
  --seconds N     how long each lasts [10]
  --count N       connections of churn [100000]
";

struct Options {
    attack: Option<String>,
    seconds: u64,
    count: u64,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}\n{}", listed());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("attack: {error}\n{USAGE}\n{}", listed());
            return ExitCode::from(2);
        }
    };
    let wanted = |name: &str| {
        options
            .attack
            .as_deref()
            .is_none_or(|wanted| wanted == name)
    };
    let (mut played, mut failed) = (0, 0);
    let mut count = |result: Result<(), String>| {
        played += 1;
        if let Err(why) = result {
            println!("  FAILED: {why}");
            failed += 1;
        }
    };
    if ATTACKS.iter().any(|attack| wanted(attack.name)) {
        println!("{HEAD}");
    }
    for attack in ATTACKS.iter().filter(|attack| wanted(attack.name)) {
        let report = attack.play(Length::For(Duration::from_secs(options.seconds)));
        println!("{}", row(attack, &report));
        count(attack.judge(&report));
    }
    if wanted("churn") {
        let churn = Churn::play(options.count);
        println!("{churn}");
        count(churn.judge());
    }
    println!("{played} attacks, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        attack: None,
        seconds: 10,
        count: 100_000,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("attack") => {
                let name = arguments.value()?.string()?;
                if name != "churn" && ATTACKS.iter().all(|attack| attack.name != name) {
                    return Err(format!("no attack is called {name:?}").into());
                }
                options.attack = Some(name);
            }
            Long("seconds") => options.seconds = arguments.value()?.parse()?,
            Long("count") => options.count = arguments.value()?.parse()?,
            Long("help") => return Ok(None),
            Short(_) | Long(_) | Value(_) => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}

/// Every attack, with the options of the program for it.
fn listed() -> String {
    let line = |attack: &Attack| {
        let Attack {
            name,
            what,
            service,
            ..
        } = attack;
        format!(
            "  {name:<19} {what}\n{:21} --service {service} {}\n",
            "",
            attack.options.join(" ")
        )
    };
    ATTACKS.iter().map(line).collect::<String>()
        + "  churn               connect, echo, close, one after the other\n"
}

const HEAD: &str = "| attack | attempts | fended off | exchanges | tried again | not served | median ms | p99 ms | worst ms | recovery ms | RSS before KiB | half time | peak | options of the program |\n\
                    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |";

fn row(attack: &Attack, report: &Report) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!(
        "| {} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.1} | {} | {} | {} | --service {} {} |",
        attack.name,
        report.attempts,
        report.fended_off,
        report.exchanges,
        report.again,
        report.unserved,
        ms(report.median),
        ms(report.p99),
        ms(report.worst),
        ms(report.recovery),
        report.before / 1024,
        report.half / 1024,
        report.peak / 1024,
        attack.service,
        attack.options.join(" "),
    )
}
