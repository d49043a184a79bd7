//! Small messages in one piece. A head and a short body come as two or three slices; copying them together and sending
//! them with `send` spares the kernel the list of slices.

use std::io::IoSlice;

use tokio::io::ReadBuf;

/// Most bytes worth copying.
pub const MOST: usize = 1536;

/// The slices as one, if there is only one or the room, which is empty, holds them all; `None` leaves them as they are. The room is read
/// only where they were written to it, so nobody has to fill it with zeros first.
pub fn gather<'a>(slices: &'a [IoSlice<'_>], room: &'a mut ReadBuf<'_>) -> Option<&'a [u8]> {
    if let [one] = slices {
        return Some(one);
    }
    if slices.iter().map(|slice| slice.len()).sum::<usize>() > room.remaining() {
        return None;
    }
    for slice in slices {
        room.put_slice(slice);
    }
    Some(room.filled())
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    /// What is gathered in so much room.
    fn gathered(slices: &[IoSlice<'_>]) -> Option<Vec<u8>> {
        gather(slices, &mut ReadBuf::uninit(&mut [MaybeUninit::uninit(); MOST])).map(<[u8]>::to_vec)
    }

    #[test]
    fn gathers_what_is_small() {
        let long = vec![b'x'; MOST];
        let slices = |parts: &[&'static str]| parts.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
        let parts = slices(&["head", "", "body"]);
        let several: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        assert_eq!(gathered(&several).as_deref(), Some(&b"headbody"[..]));
        assert_eq!(gathered(&[IoSlice::new(&long), IoSlice::new(b"1")]), None);
        assert_eq!(gathered(&[IoSlice::new(&long)]).as_ref(), Some(&long));
        assert_eq!(gathered(&[IoSlice::new(b""), IoSlice::new(&long)]).map(|all| all.len()), Some(MOST));
        assert_eq!(gathered(&[]), Some(Vec::new()));
    }

    #[test]
    fn one_is_not_copied_however_long_it_is() {
        let long = vec![b'x'; MOST * 2];
        let slices = [IoSlice::new(&long)];
        let mut memory = [MaybeUninit::uninit(); MOST];
        let mut room = ReadBuf::uninit(&mut memory);
        assert_eq!(gather(&slices, &mut room).map(<[u8]>::as_ptr_range), Some(long.as_ptr_range()));
        assert!(room.filled().is_empty());
    }
}
