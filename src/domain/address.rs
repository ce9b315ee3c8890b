//! E-mail addresses: what an account is called by. One address is one account, however it is spelled.

use super::ticket::text_rule;

/// The longest address that mail can carry, in bytes.
const LONGEST: usize = 254;

/// The one spelling of an address: without blanks around it, in lower case.
///
/// # Errors
/// One sentence that names the rule.
pub fn normal(text: &str) -> Result<String, String> {
    const FORM: &str = "Write an email address, such as ada@example.org.";
    let address = text.trim().to_lowercase();
    if address.len() > LONGEST {
        return Err(format!("At most {LONGEST} bytes; this has {}.", address.len()));
    }
    text_rule(&address, 1, LONGEST, false)?;
    let parts = address.split_once('@');
    let is_part = |part: &str| !part.is_empty() && !part.contains('@') && !part.contains(char::is_whitespace);
    if parts.is_some_and(|(local, host)| is_part(local) && is_part(host)) {
        Ok(address)
    } else {
        Err(FORM.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for text in ["ada@example.org", " Ada@Example.ORG\t", "ADA@EXAMPLE.ORG"] {
            assert_eq!(normal(text).as_deref(), Ok("ada@example.org"), "{text}");
        }
        assert_eq!(normal(&format!("{}@b", "a".repeat(252))).map(|a| a.len()), Ok(254));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@b", "a".repeat(253));
        for text in
            ["", "  ", "ada", "@", "ada@", "@b", "a@b@c", "a b@c", "a@b c", "a\u{200B}@b", "a\n@b", &long]
        {
            assert!(normal(text).is_err(), "{text:?}");
        }
    }
}
