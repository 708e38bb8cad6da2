//! Keccak's sponge with what is put after the message left open. Source: FIPS 202, and for the bare sponges below KMAC
//! SP 800-185, whose functions absorb the bits 00 after the message.

use keccak::Keccak;

/// The bytes of the permutation's state.
const STATE: usize = 200;

/// A sponge, with what it has absorbed.
#[derive(Clone)]
pub(crate) struct Sponge {
    lanes: [u64; STATE / 8],
    /// How many bytes are absorbed between two permutations.
    rate: usize,
    /// Where the next byte goes.
    at: usize,
    /// The bits after the message and the first of the padding.
    suffix: u8,
    keccak: Keccak,
}

impl Sponge {
    /// SHAKE of this strength in bits.
    pub(crate) fn shake(strength: usize) -> Self {
        Self::new(strength, 0x1F)
    }

    /// What KMAC of this strength is built on, without its key and name.
    pub(crate) fn kmac(strength: usize) -> Self {
        Self::new(strength, 0x04)
    }

    fn new(strength: usize, suffix: u8) -> Self {
        Self { lanes: [0; STATE / 8], rate: STATE - strength / 4, at: 0, suffix, keccak: Keccak::new() }
    }

    pub(crate) fn update(&mut self, message: &[u8]) {
        let mut rest = message;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.rate - self.at));
            for &byte in now {
                self.add(self.at, byte);
                self.at += 1;
            }
            if self.at == self.rate {
                self.permute();
                self.at = 0;
            }
            rest = later;
        }
    }

    /// Fills `digest`, which is no longer than the rate.
    pub(crate) fn finalize_into(mut self, digest: &mut [u8]) {
        self.add(self.at, self.suffix);
        self.add(self.rate - 1, 0x80);
        self.permute();
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = self.lanes[index / 8].to_le_bytes()[index % 8];
        }
    }

    fn add(&mut self, at: usize, byte: u8) {
        self.lanes[at / 8] ^= u64::from(byte) << (8 * (at % 8));
    }

    fn permute(&mut self) {
        let lanes = &mut self.lanes;
        self.keccak.with_f1600(|f1600| f1600(lanes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(mut sponge: Sponge, message: &[u8], len: usize) -> String {
        // In pieces that end on both sides of the rate.
        for piece in message.chunks(67) {
            sponge.update(piece);
        }
        let mut digest = vec![0; len];
        sponge.finalize_into(&mut digest);
        hex::encode(digest)
    }

    /// Digests from OpenSSL's `dgst`.
    #[test]
    fn digests_are_openssls() {
        let message: Vec<u8> = (0..=250).cycle().take(1000).collect();
        for (length, shake128, shake256, kmac128, kmac256) in CASES {
            let message = &message[..*length];
            assert_eq!(digest(Sponge::shake(128), message, 16), *shake128, "{length}");
            assert_eq!(digest(Sponge::shake(256), message, 32), *shake256, "{length}");
            assert_eq!(digest(Sponge::kmac(128), message, 32), *kmac128, "{length}");
            assert_eq!(digest(Sponge::kmac(256), message, 64), *kmac256, "{length}");
        }
    }

    const CASES: &[(usize, &str, &str, &str, &str)] = &[
        (
            0,
            "7f9c2ba4e88f827d616045507605853e",
            "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f",
            "83aa04c211dc19d16912571ed0a75130d36aebd58562dd080c1ea84a8c7d73f7",
            "700eb71ffd0c7eceb15c7eb439aa9cc7b1f8c28c358d0335f635b0249510b4bc\
             0325d5d967108947bdf315f9b662db16a160e96877dc5e1479a942a98010802c",
        ),
        (
            135,
            "d11fafa27f42a8162b8ae013535771de",
            "c45dae624ad8a2f5aa7bac9d7557737fd91c96eedb70a6be5574d57a844eade0",
            "6b883db3388cb69a442d2766027a02f5a4070faba3389e9e171532647d6e79dd",
            "2115e4666b13ff4a8294e5dd2d680e8713617587214466389f0d12b348cd7c17\
             f25da034ef3d11c59e1a846e248031b5accb2f6613c8923cdb3a648e845f4bd9",
        ),
        (
            136,
            "30bdfd69382cab028173fba7c6d53878",
            "b7ff4073b3f5a8eabd6e17705ca7f6761a31058f9df781a6a47e3a3063b9d67a",
            "94ef1d95ea86221bbeb0b0ff8153599644291ccef2f0c12a14cb0a29ba7944d8",
            "ed4fff474cbbce8ae8298e96f5c7d800f4fa6baf76f18bb08bdaaf93056b783a\
             d6fc983c602c92ee61f835ac6b85a7ae186289356738ca580343e06efe4986e7",
        ),
        (
            167,
            "1e552791cc4e93a0d4a8dc47ae49228c",
            "989a61fbdb26d1695f841faaef850de4e5ca0095ea4c7511c54f0b0a098e8fad",
            "5ef40d1f5f1d613259ae99592a33ff08f65fac8024d95832fedc431a7fa15134",
            "2ceed042fff6f411a3e8c9f379ee6767996120aa9d54b174e07e55bab70c1eb9\
             39febf1a5ddcdc46c6c01f81ccf870fe20a898524b911f57c9dec1d8237b9761",
        ),
        (
            168,
            "f15277eb61c4908d44a2853f3cde071a",
            "1687771440dbcdaa8af7049dd319414a12a702caa4809a0ded089cb659219ea4",
            "672fb25f73feb94163fa9496b515ff1acf885d12b9d7b86e18761876e861437b",
            "4ec790c6a05b2f180165136bc1590f81e98644258d0eadbc86ff89ef925164c3\
             ec1ffc045093aa7a0c86a789d1a9a5456ce5ddbec4b5be9202053f2e1dff6cd7",
        ),
        (
            1000,
            "a72440f7f5aa7c14c8e0187420611da7",
            "34833f03ed88bb5f083ce590c7ae5af93ede33e11f53c70e47916c7044746acb",
            "e957b8a814a2cc067abe423c4ccddde92a47035c6045dd8882f7b4daea23c94b",
            "871accf33ed378e0354dd8d4c421caef2c761ee1168d199781e4dd7d898d988e\
             3b41f1a3b09adff0ddf0c8952c044617d7d089099b571bc8442f48eeb7107dce",
        ),
    ];
}
