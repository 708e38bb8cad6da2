//! Macros for the algorithms and leaves.

/// Repeats a step with each of the numbers.
macro_rules! rounds {
    ($step:ident $arguments:tt: $($i:literal)*) => { $($step!($arguments $i);)* };
}

/// A function of three amounts to shift or rotate by.
macro_rules! sigma {
    ($function:ident ($a:literal, $b:literal, $c:literal) $x:expr) => {
        $function::<$a, $b, $c>($x)
    };
}

/// Small functions on vectors, each with the processor's feature that they all need. Parameters in angle brackets are
/// constants.
macro_rules! vector_operations {
    (
        $feature:literal;
        $(
            $(#[$meta:meta])*
            fn $name:ident $(<$($constant:ident: $type:ty),+>)? ($($argument:ident: $of:ty),*) -> $result:ty $body:block
        )*
    ) => {
        $(
            $(#[$meta])*
            #[target_feature(enable = $feature)]
            #[inline]
            pub(crate) fn $name $(<$(const $constant: $type),+>)? ($($argument: $of),*) -> $result $body
        )*
    };
}

/// Makes a token compress messages of a family in lanes with a function that needs the processor's features.
macro_rules! compress_with {
    ($token:ty: $family:ty, $lanes:literal, $function:ident) => {
        impl Compress<$family, $lanes> for $token {
            fn compress(self, state: &mut [[<$family as Family>::Word; $lanes]; 8], messages: &[&[u8]; $lanes]) {
                let (pointers, chunks) = lane_pointers::<$family, $lanes>(messages);
                // SAFETY: the token proves the features, and `lane_pointers` that each message has this many chunks.
                unsafe { $function(state, &pointers, chunks) }
            }
        }
    };
}
