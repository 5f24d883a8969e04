//! A machine for filter programs: the part of classic BPF that seccomp programs here use, and
//! nothing that this crate's compiler could lean on.

/// `AUDIT_ARCH_X86_64`.
pub(super) const X86_64: u32 = 0xc000_003e;

/// What a filter is shown of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    /// The 32-bit word at `offset` of `struct seccomp_data`, little-endian.
    fn word(&self, offset: u32) -> u32 {
        let halves = |it: u64| [u32::try_from(it & 0xffff_ffff), u32::try_from(it >> 32)];
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let word = usize::try_from((offset - 16) / 4).unwrap();
                assert_eq!(offset % 4, 0, "the kernel refuses unaligned loads");
                halves(self.args[word / 2])[word % 2].unwrap()
            }
            _ => panic!("offset {offset} is not used here"),
        }
    }
}

/// The program's verdict; a program that runs off its end or holds an unknown instruction fails the
/// test.
pub(super) fn run(program: &[libc::sock_filter], call: Call) -> u32 {
    let (mut at, mut register) = (0, 0);
    loop {
        let it = &program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { it.jt } else { it.jf });
        match it.code {
            0x20 => register = call.word(it.k),
            0x54 => register &= it.k,
            0x05 => at += usize::try_from(it.k).unwrap(),
            0x15 => at += jump(register == it.k),
            0x25 => at += jump(register > it.k),
            0x35 => at += jump(register >= it.k),
            0x06 => return it.k,
            code => panic!("instruction {code:#x}"),
        }
    }
}
