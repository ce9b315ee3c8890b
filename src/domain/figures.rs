//! Numbers as people read them.

/// "1 gate", "2 gates".
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// "812 bytes", "6.1 KB", "10 MB": in steps of 1024.
pub fn bytes(count: u64) -> String {
    const STEP: u64 = 1024;
    if count < STEP {
        return plural(count, "byte", "bytes");
    }
    let (unit, name) = [(STEP, "KB"), (STEP.pow(2), "MB"), (STEP.pow(3), "GB")]
        .into_iter()
        .rev()
        .find(|(unit, _)| count >= *unit)
        .unwrap_or((STEP, "KB"));
    let (whole, tenth) = (count / unit, count % unit * 10 / unit);
    if tenth == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
}

/// "41,207,334".
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(1023), "1,023 bytes");
        assert_eq!(bytes(1024), "1 KB");
        assert_eq!(bytes(6_300), "6.1 KB");
        assert_eq!(bytes(10 * 1024 * 1024), "10 MB");
        assert_eq!(bytes(700 * 1024 * 1024 + 900 * 1024), "700 MB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(41_207_334), "41,207,334");
        assert_eq!(plural(1, "gate", "gates"), "1 gate");
        assert_eq!(plural(2, "gate", "gates"), "2 gates");
    }
}
