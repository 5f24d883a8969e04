//! Characters that a page writes by name or number. Pure.

/// Bytes of a name or number.
const MAX: usize = 12;

/// The names that are common; others stay as they are written.
const NAMED: [(&str, &str); 48] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("mdash", "—"),
    ("ndash", "–"),
    ("hellip", "…"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bdquo", "„"),
    ("bull", "•"),
    ("middot", "·"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("euro", "€"),
    ("pound", "£"),
    ("yen", "¥"),
    ("cent", "¢"),
    ("sect", "§"),
    ("times", "×"),
    ("divide", "÷"),
    ("deg", "°"),
    ("plusmn", "±"),
    ("larr", "←"),
    ("rarr", "→"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("szlig", "ß"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("agrave", "à"),
    ("ccedil", "ç"),
    ("ntilde", "ñ"),
    ("iexcl", "¡"),
    ("iquest", "¿"),
    ("shy", ""),
    ("zwnj", ""),
];

/// The text with its entities as characters.
pub(super) fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(MAX).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((one(after.get(..end)?)?, after.get(end + 1..)?)));
        let (text, behind) = found.unwrap_or_else(|| ("&".to_owned(), after));
        out.push_str(&text);
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn one(name: &str) -> Option<String> {
    let Some(number) = name.strip_prefix('#') else {
        let named = NAMED.iter().find(|(known, _)| *known == name);
        return named.map(|(_, text)| (*text).to_owned());
    };
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(number.ok()?).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_characters_and_what_is_none_stays() {
        let check = |text: &str, want: &str| assert_eq!(decoded(text), want);
        check("a &amp; b &lt;c&gt; &uuml;&#228;&#xE9;", "a & b <c> üäé");
        check("&unknown; &; & &amp", "&unknown; &; & &amp");
        check("&#xD800;&#99999999999;", "&#xD800;&#99999999999;");
        check("&amp;lt;", "&lt;");
        check("&ü;", "&ü;");
    }
}
