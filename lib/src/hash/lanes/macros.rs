//! What the algorithms and leaves are written with.

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
            pub(super) fn $name $(<$(const $constant: $type),+>)? ($($argument: $of),*) -> $result $body
        )*
    };
}
