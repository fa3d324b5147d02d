//! The percentile plot: latency over percentile, both logarithmic, as SVG.
//!
//! The horizontal axis gives each further nine the same room (50, 90, 99, 99.9 %), so that the slow
//! end, which is what users notice, is as wide as the rest.

use std::fmt::Write as _;

use super::number::latency;
use crate::latency::Point;
use crate::scenario::NamedLatencies;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Least distance between two labels at the right, in pixels.
const LABEL_GAP: f64 = 16.0;
/// The most nines that the axis shows: 99.9999 %.
const NINES_MAX: f64 = 6.0;

/// Where values stand in the picture.
struct Axes {
    nines: f64,
    /// Decimal exponents of the lowest and highest latency, in microseconds.
    decades: (f64, f64),
}

impl Axes {
    fn of(curves: &[Vec<Point>]) -> Axes {
        let points = || curves.iter().flatten();
        let nines = points().map(|point| nines(point.quantile)).fold(2.0, f64::max);
        let low = points().map(|point| point.latency_us).fold(f64::INFINITY, f64::min);
        let high = points().map(|point| point.latency_us).fold(1.0, f64::max);
        let low = low.clamp(0.1, high).log10().floor();
        Axes { nines, decades: (low, high.log10().ceil().max(low + 1.0)) }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * nines / self.nines
    }

    fn y(&self, latency_us: f64) -> f64 {
        let (low, high) = self.decades;
        let share = (latency_us.max(1e-3).log10() - low) / (high - low);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share.clamp(0.0, 1.0)
    }
}

/// 0.9 is one nine, 0.99 two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(10f64.powf(-NINES_MAX)).log10()
}

/// Draws the curves; nothing where there are none.
pub(super) fn render(curves: &[NamedLatencies]) -> String {
    if curves.is_empty() {
        return String::new();
    }
    let points: Vec<Vec<Point>> = curves.iter().map(|curve| curve.latencies.curve()).collect();
    let axes = Axes::of(&points);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Latency over percentile\">\n"
    );
    // Writing to a string can't fail.
    let _ = write_grid(&axes, &mut svg);
    for (index, points) in points.iter().enumerate() {
        let _ = write_curve(&axes, index, points, &mut svg);
    }
    let _ = write_labels(&axes, curves, &points, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

fn write_grid(axes: &Axes, svg: &mut String) -> std::fmt::Result {
    let (left, right, bottom) = (axes.x(0.0), axes.x(axes.nines), HEIGHT - BOTTOM);
    for decade in axes.decades.0 as i32..=axes.decades.1 as i32 {
        let us = 10f64.powi(decade);
        let (y, label) = (axes.y(us), latency(us));
        writeln!(svg, "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>")?;
        let (x, y) = (left - 8.0, y + 4.0);
        writeln!(svg, "<text class=\"end\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>")?;
    }
    let ticks = [(0.0, "0"), (nines(0.5), "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9")];
    let ticks = ticks.into_iter().chain([(4.0, "99.99"), (5.0, "99.999"), (6.0, "99.9999")]);
    for (nines, label) in ticks.take_while(|&(nines, _)| nines <= axes.nines) {
        let x = axes.x(nines);
        writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>")?;
        let y = bottom + 18.0;
        writeln!(svg, "<text class=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{label} %</text>")?;
    }
    let (x, y) = (f64::midpoint(left, right), bottom + 37.0);
    writeln!(
        svg,
        "<text class=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">share that was at least as fast</text>"
    )
}

fn write_curve(axes: &Axes, index: usize, points: &[Point], svg: &mut String) -> std::fmt::Result {
    write!(svg, "<path class=\"curve c{index}\" d=\"")?;
    for (position, point) in points.iter().enumerate() {
        let command = if position == 0 { 'M' } else { 'L' };
        let (x, y) = (axes.x(nines(point.quantile)), axes.y(point.latency_us));
        write!(svg, "{command}{x:.1} {y:.1}")?;
    }
    // Nothing was slower than the last point.
    writeln!(svg, "H{:.1}\"/>", axes.x(axes.nines))
}

/// A name at the right of each curve, from the top down, none over another.
fn write_labels(
    axes: &Axes,
    curves: &[NamedLatencies],
    points: &[Vec<Point>],
    svg: &mut String,
) -> std::fmt::Result {
    let x = axes.x(axes.nines) + 8.0;
    let mut labels: Vec<(f64, usize)> = points
        .iter()
        .enumerate()
        .filter_map(|(index, points)| {
            let last = points.last()?;
            Some((axes.y(last.latency_us) + 4.0, index))
        })
        .collect();
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free_y = 0.0f64;
    for (y, index) in labels {
        let (y, label) = (y.max(free_y), curves[index].label);
        free_y = y + LABEL_GAP;
        writeln!(svg, "<text class=\"label c{index}\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    fn curve(label: &'static str, latencies_us: impl Iterator<Item = u64>) -> NamedLatencies {
        let mut latencies = Latencies::default();
        latencies_us.for_each(|us| latencies.record(us * 1_000));
        NamedLatencies { name: "x_us", label, latencies }
    }

    #[test]
    fn curves_stay_inside_and_labels_apart() {
        let svg = render(&[curve("one", 1..100_000), curve("two", 1..100_001)]);
        for number in svg.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-') {
            let Ok(value) = number.parse::<f64>() else { continue };
            assert!((0.0..=WIDTH).contains(&value), "{value}");
        }
        let labels: Vec<&str> = svg.lines().filter(|line| line.contains("label c")).collect();
        assert_eq!(labels.len(), 2);
        assert_ne!(labels[0].split("y=").nth(1), labels[1].split("y=").nth(1));
    }

    #[test]
    fn one_value_and_none_are_drawn_too() {
        assert_eq!(render(&[]), "");
        assert!(render(&[curve("one", 5..6)]).contains("class=\"curve c0\""));
    }
}
