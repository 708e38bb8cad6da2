//! Macros for the leaves.

/// Makes a token add products of rows to outputs, some outputs and two vectors of columns at a time, so that sums stay
/// in registers. The leaf provides `load`, `store`, `add`, `split`, which prepares a vector for multiplication,
/// `factor`, which makes a vector from a coefficient, and `product`.
macro_rules! add_products_with {
    (
        $token:ty, $feature:literal, $vector:ty, $bytes:literal, $coefficient:ty, at_a_time: $most:literal,
        $($count:literal)*
    ) => {
        impl $token {
            /// Adds to each of `outputs` its products with `rows`. Each row has `count` coefficients, one for each
            /// output.
            pub(super) fn add(
                self,
                coefficients: &[$coefficient],
                count: usize,
                rows: &Rows,
                width: usize,
                outputs: &mut Rows,
            ) {
                let inputs = coefficients.len() / count;
                assert!(inputs <= rows.count && count <= outputs.count);
                assert!(width.is_multiple_of(2 * $bytes) && width <= rows.stride && width <= outputs.stride);
                for start in (0..width).step_by(TILE) {
                    let columns = start..width.min(start + TILE);
                    for first in (0..count).step_by($most) {
                        // SAFETY: the token proves the features. The number and width of rows and outputs were
                        // asserted.
                        unsafe {
                            match count - first {
                                $($count => group::<$count>(coefficients, (first, count), rows, &columns, outputs),)*
                                _ => group::<$most>(coefficients, (first, count), rows, &columns, outputs),
                            }
                        }
                    }
                }
            }
        }

        /// # Safety
        /// There is a row for every `count` coefficients, and there are `count` outputs. All of them are wide enough
        /// for `columns`, whose number is a multiple of two vectors.
        #[target_feature(enable = $feature)]
        unsafe fn group<const N: usize>(
            coefficients: &[$coefficient],
            (first, count): (usize, usize),
            rows: &Rows,
            columns: &Range<usize>,
            outputs: &mut Rows,
        ) {
            let input = rows.bytes.as_ptr();
            let output = outputs.bytes.as_mut_ptr();
            for column in columns.clone().step_by(2 * $bytes) {
                let mut sums: [[$vector; 2]; N] = [[zero(); 2]; N];
                for (index, sums) in sums.iter_mut().enumerate() {
                    for (half, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: within that output, as the caller promises.
                        *sum = unsafe { load(output.add((first + index) * outputs.stride + column + half * $bytes)) };
                    }
                }
                for (row, factors) in coefficients.chunks_exact(count).enumerate() {
                    // SAFETY: within that row, as the caller promises.
                    let bytes = unsafe {
                        let address = input.add(row * rows.stride + column);
                        [split(load(address)), split(load(address.add($bytes)))]
                    };
                    for (sums, &coefficient) in sums.iter_mut().zip(&factors[first..]) {
                        let factor = factor(coefficient);
                        for (sum, bytes) in sums.iter_mut().zip(bytes) {
                            *sum = add(*sum, product(factor, bytes));
                        }
                    }
                }
                for (index, sums) in sums.iter().enumerate() {
                    for (half, sum) in sums.iter().enumerate() {
                        // SAFETY: as when it was read.
                        unsafe { store(output.add((first + index) * outputs.stride + column + half * $bytes), *sum) };
                    }
                }
            }
        }
    };
}
