//! The results: as text and as JSON.

use super::Traffic;
use core::fmt;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The results of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// What clients did.
    pub traffic: Traffic,
    /// Messages (churn: exchanges; fair: of the small client) that came back in the window.
    pub messages: u64,
    /// The length of the window.
    pub seconds: f64,
    /// Their latencies, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Bytes that came back other than they were sent, ever.
    pub wrong: u64,
    /// Connections that ended or failed without our doing, ever.
    pub lost: u64,
    /// Active connections that ever had a reply.
    pub answered: u32,
    /// Seconds of CPU that the server used in the window, all its threads together, if its process is known.
    pub server_cpu: Option<f64>,
    /// Seconds of CPU that this process used.
    pub our_cpu: f64,
    /// How many CPUs did something else meanwhile, on the average, if the server's process is known.
    pub foreign: Option<f64>,
    /// Messages a second of the clients that stream (fair).
    pub bulk_rate: Option<f64>,
    /// Whether the small client could go ahead of the others (fair).
    pub ahead: Option<bool>,
}

/// More foreign work than this many CPUs makes figures doubtful.
const NOISY: f64 = 0.15;

/// The quantiles that are printed.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

impl Report {
    /// Messages a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// A latency in microseconds, `quantile` from 0 to 1.
    #[must_use]
    pub fn micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Microseconds of the server's CPU for each message, those of bulk clients too.
    #[must_use]
    pub fn cpu_per_message(&self) -> Option<f64> {
        let messages = self.messages as f64 + self.bulk_rate.unwrap_or(0.0) * self.seconds;
        self.server_cpu
            .filter(|_| messages > 0.0)
            .map(|cpu| cpu * 1e6 / messages)
    }

    /// Whether other work may have made a difference.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.foreign.is_some_and(|foreign| foreign > NOISY)
    }

    /// What went wrong, if anything did.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn judge(&self) -> Result<(), String> {
        let Self {
            wrong,
            lost,
            messages,
            ..
        } = self;
        if *wrong > 0 {
            return Err(format!("{wrong} bytes came back wrong"));
        }
        if *lost > 0 {
            return Err(format!("{lost} connections were lost"));
        }
        if *messages == 0 {
            return Err("no message came back in the window".into());
        }
        Ok(())
    }

    /// Everything, for other programs. Times in microseconds, but for `seconds`.
    #[must_use]
    pub fn json(&self) -> Value {
        let traffic = match self.traffic {
            Traffic::Echo {
                connections,
                active,
                in_flight,
                size,
            } => json!({
                "mode": "echo", "connections": connections, "active": active, "in_flight": in_flight, "size": size,
            }),
            Traffic::Churn { clients, size } => json!({
                "mode": "churn", "connections": clients, "size": size,
            }),
            Traffic::Fair {
                bulk,
                in_flight,
                size,
            } => json!({
                "mode": "fair", "connections": bulk, "in_flight": in_flight, "size": size,
            }),
        };
        let latency = QUANTILES.map(|(name, q)| (name.to_owned(), json!(self.micros(q))));
        json!({
            "traffic": traffic,
            "messages": self.messages,
            "seconds": self.seconds,
            "rate": self.rate(),
            "latency_us": Value::Object(latency.into_iter().collect()),
            "wrong": self.wrong,
            "lost": self.lost,
            "answered": self.answered,
            "server_cpu_us_per_message": self.cpu_per_message(),
            "server_cpu_seconds": self.server_cpu,
            "our_cpu_seconds": self.our_cpu,
            "foreign_cpus": self.foreign,
            "noisy": self.is_noisy(),
            "bulk_rate": self.bulk_rate,
            "ahead": self.ahead,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<24} {value}");
        row("messages", self.messages.to_string())?;
        row("a second", format!("{:.0}", self.rate()))?;
        if let Some(rate) = self.bulk_rate {
            row("bulk messages a second", format!("{rate:.0}"))?;
        }
        for (name, quantile) in QUANTILES {
            row(
                &format!("latency {name}"),
                format!("{:.1} µs", self.micros(quantile)),
            )?;
        }
        match (self.cpu_per_message(), self.server_cpu) {
            (Some(micros), Some(cpu)) => {
                row("server's CPU a message", format!("{micros:.2} µs"))?;
                row("server's CPU", share(cpu, self.seconds))?;
            }
            _ => row("server's CPU", "unknown; pass its --pid".into())?,
        }
        row("our CPU", share(self.our_cpu, self.seconds))?;
        if let Some(foreign) = self.foreign {
            let noisy = if self.is_noisy() { ": noisy" } else { "" };
            row("others' CPU", format!("{:.0} %{noisy}", foreign * 100.0))?;
        }
        if self.ahead == Some(false) {
            let why = "has no right of way here (SCHED_FIFO): its latency is partly ours";
            row("the small client", why.into())?;
        }
        row("connections served", self.answered.to_string())?;
        row("connections lost", self.lost.to_string())?;
        row("wrong bytes", self.wrong.to_string())
    }
}

fn share(cpu: f64, seconds: f64) -> String {
    format!("{:.0} %", cpu / seconds * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut latency = Histogram::new(3).expect("digits");
        for micros in 1..=100 {
            latency.record(micros * 1000).expect("recorded");
        }
        Report {
            traffic: Traffic::Churn {
                clients: 3,
                size: 64,
            },
            messages: 100,
            seconds: 2.0,
            latency,
            wrong: 0,
            lost: 0,
            answered: 3,
            server_cpu: Some(0.001),
            our_cpu: 0.5,
            foreign: Some(0.2),
            bulk_rate: None,
            ahead: None,
        }
    }

    #[test]
    fn figures_are_derived() {
        let report = report();
        assert!((report.rate() - 50.0).abs() < 1e-9);
        assert!((report.micros(0.5) - 50.0).abs() < 0.1);
        assert!((report.micros(1.0) - 100.0).abs() < 0.1);
        assert_eq!(report.cpu_per_message(), Some(10.0));
        assert!(report.is_noisy());
        let with_bulk = Report {
            bulk_rate: Some(200.0),
            ..report
        };
        assert_eq!(with_bulk.cpu_per_message(), Some(2.0));
    }

    #[test]
    fn json_is_parsed_back() {
        let text = report().json().to_string();
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["traffic"]["mode"], "churn");
        assert_eq!(value["messages"], 100);
        assert_eq!(value["noisy"], true);
        assert_eq!(value["bulk_rate"], Value::Null);
        let p99 = value["latency_us"]["p99"].as_f64().expect("a number");
        assert!((p99 - 99.0).abs() < 0.1);
    }

    #[test]
    fn an_error_is_printed() {
        let bad = |wrong, lost, messages| Report {
            wrong,
            lost,
            messages,
            ..report()
        };
        assert_eq!(bad(0, 0, 1).judge(), Ok(()));
        assert!(
            bad(2, 0, 1)
                .judge()
                .is_err_and(|why| why.contains("2 bytes"))
        );
        assert!(bad(0, 1, 1).judge().is_err_and(|why| why.contains("lost")));
        assert!(
            bad(0, 0, 0)
                .judge()
                .is_err_and(|why| why.contains("no message"))
        );
    }
}
