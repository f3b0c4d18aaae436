//! Avatars: the file of a multipart form, and the checks of Box.

use axum::body::Bytes;

/// An avatar as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) format: Format,
    pub(crate) bytes: Bytes,
}

/// The formats that Box accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
}

/// A file of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    name: String,
    bytes: Bytes,
}

const MAX_BYTES: usize = 1 << 20;
const MAX_PIXELS: u32 = 1024;

impl Format {
    /// The content type in responses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
        }
    }
}

impl Picture {
    /// Checks an upload by extension and size, as Box does. The error is the reason of the refusal.
    pub(crate) fn of(upload: &Upload) -> Result<Picture, &'static str> {
        let extension = upload.name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let format = match extension.as_str() {
            "jpg" | "jpeg" => Format::Jpeg,
            "png" => Format::Png,
            _ => return Err("the file extension must be .jpg or .png"),
        };
        match upload.bytes.len() {
            0 => return Err("the file is empty"),
            1..=MAX_BYTES => {}
            _ => return Err("the image exceeds 1 MB"),
        }
        if png_size(&upload.bytes).is_some_and(|(width, height)| width.max(height) > MAX_PIXELS) {
            return Err("the image exceeds 1024 x 1024 pixels");
        }
        Ok(Picture { format, bytes: upload.bytes.clone() })
    }
}

/// Width and height of a PNG. The size of a JPEG is not checked, because it comes after other segments.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(8)?, number(12)?))
}

/// The first file of a `multipart/form-data` body.
pub(crate) fn first_file(content_type: &str, body: &Bytes) -> Option<Upload> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let boundary = parameter(rest, "boundary")?;
    let fence = format!("--{boundary}");
    let mut at = find(body, 0, fence.as_bytes())?;
    loop {
        let head = at + fence.len();
        let blank = find(body, head, b"\r\n\r\n")?;
        let next = find(body, blank, format!("\r\n{fence}").as_bytes())?;
        let headers = std::str::from_utf8(&body[head..blank]).ok()?;
        let disposition = headers
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))
            .unwrap_or_default();
        if let Some(name) = parameter(disposition, "filename") {
            return Some(Upload { name, bytes: body.slice(blank + 4..next) });
        }
        at = next + 2;
    }
}

/// Reads `name="value"` or `name=value` after a semicolon.
fn parameter(header: &str, name: &str) -> Option<String> {
    let value = header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned()).filter(|value| !value.is_empty())
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    fn upload(name: &str, bytes: Vec<u8>) -> Upload {
        Upload { name: name.to_owned(), bytes: bytes.into() }
    }

    #[test]
    fn the_file_of_a_form() {
        let mut body = b"--xyz\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n".to_vec();
        body.extend(b"--xyz\r\nContent-Disposition: form-data; name=\"pic\"; filename=\"a.png\"\r\n");
        body.extend(b"Content-Type: image/png\r\n\r\none\r\n--xy\r\ntwo\r\n--xyz--\r\n");
        let body = Bytes::from(body);
        let file = first_file("multipart/form-data; boundary=\"xyz\"", &body).expect("a file");
        assert_eq!(file, upload("a.png", b"one\r\n--xy\r\ntwo".to_vec()));
        assert_eq!(first_file("application/json", &body), None);
        assert_eq!(first_file("multipart/form-data; boundary=abc", &body), None);
        assert_eq!(first_file("multipart/form-data; boundary=xyz", &body.slice(..120)), None, "cut off");
    }

    #[test]
    fn what_box_takes() {
        assert_eq!(Picture::of(&upload("a.png", png(64, 1024))).expect("taken").format, Format::Png);
        assert_eq!(Picture::of(&upload("a.JPG", vec![1])).expect("taken").format, Format::Jpeg);
        for bad in [
            upload("a.gif", vec![1]),
            upload("a.png", Vec::new()),
            upload("a.jpg", vec![0; MAX_BYTES + 1]),
            upload("a.png", png(1025, 1)),
        ] {
            assert!(Picture::of(&bad).is_err(), "{}", bad.name);
        }
    }
}
