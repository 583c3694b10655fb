//! Lists as CSV (RFC 4180), for spreadsheets and scripts.

/// Appends a record. A field with a comma, a quote or a line break is quoted. A field that a spreadsheet would take for a
/// formula begins with an apostrophe, so that nothing that a server says of itself runs there.
pub(super) fn write_record<Cell: AsRef<str>>(text: &mut String, cells: &[Cell]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_field(text, cell.as_ref());
    }
    text.push_str("\r\n");
}

fn write_field(text: &mut String, field: &str) {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let mark = if is_formula { "'" } else { "" };
    if field.contains([',', '"', '\r', '\n']) {
        text.push('"');
        text.push_str(mark);
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(mark);
        text.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cells: &[&str]) -> String {
        let mut text = String::new();
        write_record(&mut text, cells);
        text
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(record(&["a", "", "ž b", "c;'d"]), "a,,ž b,c;'d\r\n");
        assert_eq!(
            record(&["a,b", "say \"x\"", "two\nlines", "\"\""]),
            "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"\"\"\"\"\"\r\n"
        );
    }

    #[test]
    fn no_field_is_a_formula() {
        assert_eq!(record(&["=1+1", "+1", "-1", "@x", "a=b"]), "'=1+1,'+1,'-1,'@x,a=b\r\n");
        assert_eq!(
            record(&["=HYPERLINK(\"x\",1)", "\t=1", "\r=1"]),
            "\"'=HYPERLINK(\"\"x\"\",1)\",'\t=1,\"'\r=1\"\r\n"
        );
    }
}
