//! The pictures, as SVG.

use super::statistics::Spread;
use crate::load::Report;
use core::ops::Range;
use plotters::coord::Shift;
use plotters::element::PathElement;
use plotters::prelude::*;

/// Width and height.
const SIZE: (u32, u32) = (900, 480);

/// Colours that are distinguishable with any eyes (Okabe and Ito), then the same, darker.
const COLOURS: [RGBColor; 14] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(190, 180, 20),
    RGBColor(120, 120, 120),
    RGBColor(130, 80, 0),
    RGBColor(30, 90, 120),
    RGBColor(0, 80, 60),
    RGBColor(110, 40, 0),
    RGBColor(110, 50, 90),
];

fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

/// A name and what was measured, `None` where nothing was.
pub(super) type Series<T> = (String, Vec<T>);

/// What stands around the figures.
pub(super) struct Labels<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws into a string.
fn drawn(draw: impl FnOnce(&Area<'_>) -> Result<(), String>) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(said)?;
        draw(&area)?;
        area.present().map_err(said)?;
    }
    Ok(svg)
}

fn said(error: impl core::fmt::Display) -> String {
    format!("drawing: {error}")
}

/// From a little less than the least to a little more than the greatest, on a logarithmic axis.
fn around(values: impl IntoIterator<Item = f64>) -> Result<Range<f64>, String> {
    let positive = values.into_iter().filter(|value| *value > 0.0);
    let all = Spread::of(positive).ok_or("nothing was measured")?;
    Ok(all.min / 1.25..all.max * 1.25)
}

/// A number as short as it can be read.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e3 => format!("{} k", v / 1e3),
        v if v >= 1.0 => format!("{}", (v * 100.0).round() / 100.0),
        v => format!("{}", (v * 1000.0).round() / 1000.0),
    }
}

/// Lines over numbers, both axes logarithmic. Points are `(x, y with its range)`.
pub(super) fn lines(
    labels: &Labels<'_>,
    series: &[Series<(f64, Spread)>],
) -> Result<String, String> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let x = around(points().map(|(x, _)| *x))?;
    let y = around(points().flat_map(|(_, y)| [y.min, y.max]))?;
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(labels.title, ("sans-serif", 18))
            .margin(10)
            .margin_right(25)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(x.log_scale(), y.log_scale())
            .map_err(said)?;
        chart
            .configure_mesh()
            .x_desc(labels.x)
            .y_desc(labels.y)
            .x_label_formatter(&|v| short(*v))
            .y_label_formatter(&|v| short(*v))
            .light_line_style(RGBColor(240, 240, 240))
            .draw()
            .map_err(said)?;
        for (number, (name, points)) in series.iter().enumerate() {
            let colour = colour(number);
            let line = LineSeries::new(
                points.iter().map(|(x, y)| (*x, y.median)),
                colour.stroke_width(2),
            );
            chart
                .draw_series(line)
                .map_err(said)?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
            let ranges = points
                .iter()
                .map(|(x, y)| PathElement::new([(*x, y.min), (*x, y.max)], colour));
            chart.draw_series(ranges).map_err(said)?;
            let dots = points
                .iter()
                .map(|(x, y)| Circle::new((*x, y.median), 3, colour.filled()));
            chart.draw_series(dots).map_err(said)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.2))
            .draw()
            .map_err(said)
    })
}

/// Dots with their ranges over categories, the y axis logarithmic; one value of each series for each category.
pub(super) fn dots(
    labels: &Labels<'_>,
    categories: &[String],
    series: &[Series<Option<Spread>>],
) -> Result<String, String> {
    let values = series.iter().flat_map(|(_, values)| values).flatten();
    let y = around(values.flat_map(|value| [value.min, value.max]))?;
    let count = categories.len();
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(labels.title, ("sans-serif", 18))
            .margin(10)
            .margin_right(170)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(-0.5..count as f64 - 0.5, y.log_scale())
            .map_err(said)?;
        let name = |v: &f64| {
            let nearest = (0..count).find(|n| (*n as f64 - v).abs() < 0.01);
            nearest.map_or(String::new(), |n| categories[n].clone())
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc(labels.x)
            .y_desc(labels.y)
            .x_labels(count + 2)
            .x_label_formatter(&name)
            .y_label_formatter(&|v| short(*v))
            .light_line_style(RGBColor(240, 240, 240))
            .draw()
            .map_err(said)?;
        let step = 0.8 / series.len().max(1) as f64;
        for (number, (name, values)) in series.iter().enumerate() {
            let colour = colour(number);
            let points_of = || {
                let at = |n: usize| n as f64 - 0.4 + step * (number as f64 + 0.5);
                let known = values.iter().enumerate();
                known.filter_map(move |(n, value)| Some((at(n), (*value)?)))
            };
            let dots = points_of().map(|(x, y)| Circle::new((x, y.median), 4, colour.filled()));
            chart.draw_series(dots).map_err(said)?;
            let ranges =
                points_of().map(|(x, y)| PathElement::new([(x, y.min), (x, y.max)], colour));
            chart.draw_series(ranges).map_err(said)?;
            let at = (
                i32::try_from(SIZE.0).unwrap_or(0) - 160,
                50 + 20 * i32::try_from(number).unwrap_or(0),
            );
            area.draw(&Circle::new(at, 4, colour.filled()))
                .map_err(said)?;
            let text = Text::new(name.as_str(), (at.0 + 10, at.1 - 6), ("sans-serif", 13));
            area.draw(&text).map_err(said)?;
        }
        Ok(())
    })
}

/// A row for each name, with one mark for each of `marks`, the x axis logarithmic.
pub(super) fn rows(
    labels: &Labels<'_>,
    marks: &[&str],
    series: &[Series<Option<Spread>>],
) -> Result<String, String> {
    let values = series.iter().flat_map(|(_, values)| values).flatten();
    let x = around(values.flat_map(|value| [value.min, value.max]))?;
    let count = series.len();
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(labels.title, ("sans-serif", 18))
            .margin(10)
            .margin_right(25)
            .x_label_area_size(40)
            .y_label_area_size(130)
            .build_cartesian_2d(x.clone().log_scale(), -0.5..count as f64 - 0.5)
            .map_err(said)?;
        // The first row stands at the top.
        let name = |v: &f64| {
            let nearest = (0..count).find(|n| (*n as f64 - v).abs() < 0.01);
            nearest.map_or(String::new(), |n| series[count - 1 - n].0.clone())
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc(labels.x)
            .y_labels(2 * count + 1)
            .y_label_formatter(&name)
            .x_label_formatter(&|v| short(*v))
            .light_line_style(RGBColor(240, 240, 240))
            .draw()
            .map_err(said)?;
        for (mark, what) in marks.iter().enumerate() {
            let colour = colour(mark * 4);
            let points_of = || {
                let known = series.iter().enumerate();
                known.filter_map(move |(n, (_, values))| {
                    let y = (count - 1 - n) as f64 - 0.2 * mark as f64;
                    Some(((*values.get(mark)?)?, y))
                })
            };
            let sticks = points_of().map(|(value, y)| {
                PathElement::new(
                    [(x.start, y), (value.median, y)],
                    colour.mix(0.25).stroke_width(2),
                )
            });
            chart.draw_series(sticks).map_err(said)?;
            let ranges =
                points_of().map(|(v, y)| PathElement::new([(v.min, y), (v.max, y)], colour));
            chart.draw_series(ranges).map_err(said)?;
            let dots =
                points_of().map(|(value, y)| Circle::new((value.median, y), 4, colour.filled()));
            chart
                .draw_series(dots)
                .map_err(said)?
                .label(*what)
                .legend(move |at| Circle::new(at, 4, colour.filled()));
        }
        if marks.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.2))
                .draw()
                .map_err(said)?;
        }
        Ok(())
    })
}

/// The latencies of one load, by how many were slower.
///
/// # Errors
///
/// If nothing came back.
pub fn latency(report: &Report) -> Result<String, String> {
    let mut points = Vec::new();
    let mut one_in = 1.0;
    while one_in <= report.messages.max(1) as f64 {
        let micros = report.micros(1.0 - 1.0 / one_in);
        points.push((one_in, Spread::of([micros]).ok_or("no value")?));
        one_in *= 1.25;
    }
    let labels = Labels {
        title: "Latency",
        x: "1 message of so many was slower",
        y: "µs",
    };
    lines(&labels, &[("all messages".into(), points)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(median: f64) -> Spread {
        Spread {
            median,
            min: median * 0.9,
            max: median * 1.1,
        }
    }

    const LABELS: Labels<'_> = Labels {
        title: "A title",
        x: "across",
        y: "up",
    };

    #[test]
    fn names_and_points_are_drawn() {
        let series = [
            ("first".to_owned(), vec![(10.0, at(1.0)), (1000.0, at(5.0))]),
            ("second".to_owned(), vec![(10.0, at(2.0))]),
        ];
        let svg = lines(&LABELS, &series).expect("a picture");
        for part in ["<svg", "A title", "across", "first", "second", "</svg>"] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<circle").count(), 3);
        let series = [
            ("first".to_owned(), vec![Some(at(1.0)), None]),
            ("second".to_owned(), vec![Some(at(2.0)), Some(at(3.0))]),
        ];
        let categories = ["S1", "S2"].map(str::to_owned);
        let svg = dots(&LABELS, &categories, &series).expect("a picture");
        assert!(svg.contains("S1") && svg.contains("S2") && svg.contains("second"));
        // With those of the legend.
        assert_eq!(svg.matches("<circle").count(), 3 + 2);
        let svg = rows(&LABELS, &["8", "64"], &series).expect("a picture");
        assert!(svg.contains("first") && svg.contains("second"));
        assert_eq!(svg.matches("<circle").count(), 3 + 2);
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(lines(&LABELS, &[]).is_err());
        assert!(dots(&LABELS, &[], &[("x".into(), vec![None])]).is_err());
    }
}
