//! Numbers as a report shows them.

use serde_json::Value;

/// Four significant digits below a thousand, whole numbers above: no report knows more.
pub(super) fn rounded(value: f64) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return 0.0;
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9);
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// A JSON number, without a fraction where the value has none.
pub(super) fn json(value: f64) -> Value {
    let value = rounded(value);
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// For people: thousands are set apart.
pub(super) fn shown(value: f64) -> String {
    let value = rounded(value);
    if value.abs() < 1_000.0 {
        return value.to_string();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A latency with the unit that suits it.
pub(super) fn latency(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{} µs", rounded(us)),
        us if us < 1_000_000.0 => format!("{} ms", rounded(us / 1e3)),
        us => format!("{} s", rounded(us / 1e6)),
    }
}

/// A number of bytes with the unit that suits it.
pub(super) fn bytes(bytes: f64) -> String {
    match bytes.abs() {
        size if size < 10_240.0 => format!("{} B", shown(bytes)),
        size if size < 10_485_760.0 => format!("{} KiB", shown(bytes / 1_024.0)),
        _ => format!("{} MiB", shown(bytes / 1_048_576.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_is_known_of_them() {
        let rounded =
            [1.234_56, 0.012_345_6, 98_765.4, f64::NAN].map(|value| rounded(value).to_string());
        assert_eq!(rounded, ["1.235", "0.01235", "98765", "0"]);
        assert_eq!(json(5.0).to_string(), "5");
        assert_eq!(json(5.25).to_string(), "5.25");
        assert_eq!(
            [shown(131_204.4), shown(-1_000.0), shown(999.0), shown(12.5)],
            ["131,204", "-1,000", "999", "12.5"]
        );
        assert_eq!(
            [latency(65.2), latency(1_500.0), latency(2.5e6)],
            ["65.2 µs", "1.5 ms", "2.5 s"]
        );
        assert_eq!(
            [bytes(238.0), bytes(52_000.0), bytes(66e6)],
            ["238 B", "50.78 KiB", "62.94 MiB"]
        );
    }
}
