//! Macros for the leaves.

/// Makes a token add products of rows to outputs, and mix rows. It adds one or two rows to some outputs at a time, two
/// vectors of columns of each, so that sums stay in registers. The leaf provides `zero`, `load`, `store`, `add`,
/// `split`, which prepares a vector for multiplication, `factor`, which makes a vector from a coefficient, and
/// `product`.
macro_rules! add_products_with {
    (
        $token:ty, $feature:literal, $vector:ty, $bytes:literal, $coefficient:ty, rows_at_a_time: $rows:literal,
        at_a_time: $most:literal, $($count:literal)*
    ) => {
        impl $token {
            /// Adds to each of `count` outputs its products with `rows`. Each row has `count` coefficients, one for
            /// each output.
            pub(super) fn add(
                self,
                coefficients: &[$coefficient],
                count: usize,
                rows: Part<'_>,
                outputs: &mut PartMut<'_>,
            ) {
                let Some(last) = (coefficients.len() / count).checked_sub(1) else { return };
                assert!(coefficients.len().is_multiple_of(count));
                let width = outputs.width;
                assert!(width.is_multiple_of(2 * $bytes) && rows.row(last).len() == width);
                assert!(outputs.row(count - 1).len() == width);
                for first in (0..count).step_by($most) {
                    // SAFETY: the token proves the features. The number and width of rows and outputs were asserted.
                    unsafe {
                        match count - first {
                            $($count => group::<$count>(coefficients, (first, count), rows, outputs),)*
                            _ => group::<$most>(coefficients, (first, count), rows, outputs),
                        }
                    }
                }
            }

            /// Makes x + y + z, x + y + f (y + z) and x + z + f (y + z) of rows x, y and z.
            pub(super) fn mix(self, f: $coefficient, rows: [&mut [u8]; 3]) {
                let width = rows[0].len();
                assert!(width.is_multiple_of($bytes) && rows.iter().all(|row| row.len() == width));
                // SAFETY: the token proves the features. The widths were asserted.
                unsafe { mix(f, rows) }
            }
        }

        /// # Safety
        /// There is a row for every `count` coefficients, and there are `count` outputs. All of them have the same
        /// width, a multiple of two vectors.
        #[target_feature(enable = $feature)]
        unsafe fn group<const N: usize>(
            coefficients: &[$coefficient],
            (first, count): (usize, usize),
            rows: Part<'_>,
            outputs: &mut PartMut<'_>,
        ) {
            let output = outputs.row(first).as_mut_ptr();
            for column in (0..outputs.width).step_by(2 * $bytes) {
                let mut sums: [[$vector; 2]; N] = [[zero(); 2]; N];
                for (index, sums) in sums.iter_mut().enumerate() {
                    for (half, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: within that output, as the caller promises.
                        *sum = unsafe { load(output.add(index * outputs.stride + column + half * $bytes)) };
                    }
                }
                let mut input = rows.bytes.as_ptr().wrapping_add(column);
                let mut rest = coefficients;
                while rest.len() >= $rows * count {
                    // SAFETY: as many rows as there are coefficients for, as the caller promises.
                    unsafe { add_rows::<N, $rows>(&mut sums, &rest[first..], count, input, rows.stride) };
                    input = input.wrapping_add($rows * rows.stride);
                    rest = &rest[$rows * count..];
                }
                if $rows > 1 && !rest.is_empty() {
                    // SAFETY: the same.
                    unsafe { add_rows::<N, 1>(&mut sums, &rest[first..], count, input, rows.stride) };
                }
                for (index, sums) in sums.iter().enumerate() {
                    for (half, sum) in sums.iter().enumerate() {
                        // SAFETY: as when it was read.
                        unsafe { store(output.add(index * outputs.stride + column + half * $bytes), *sum) };
                    }
                }
            }
        }

        /// Adds the products of `R` rows to `N` sums of two vectors.
        ///
        /// # Safety
        /// Two vectors can be read from each row, and of the coefficients `N` for each row, `count` after the previous.
        #[target_feature(enable = $feature)]
        #[inline]
        unsafe fn add_rows<const N: usize, const R: usize>(
            sums: &mut [[$vector; 2]; N],
            coefficients: &[$coefficient],
            count: usize,
            input: *const u8,
            stride: usize,
        ) {
            let mut bytes = [[split(zero()); 2]; R];
            for (row, bytes) in bytes.iter_mut().enumerate() {
                for (half, bytes) in bytes.iter_mut().enumerate() {
                    // SAFETY: as the caller promises.
                    *bytes = unsafe { split(load(input.add(row * stride + half * $bytes))) };
                }
            }
            for (index, sums) in sums.iter_mut().enumerate() {
                for (half, sum) in sums.iter_mut().enumerate() {
                    let mut products = zero();
                    for (row, bytes) in bytes.iter().enumerate() {
                        // SAFETY: as the caller promises.
                        let factor = factor(unsafe { *coefficients.get_unchecked(row * count + index) });
                        products = add(products, product(factor, bytes[half]));
                    }
                    *sum = add(*sum, products);
                }
            }
        }

        /// # Safety
        /// All rows have the same width, a multiple of a vector.
        #[target_feature(enable = $feature)]
        unsafe fn mix(f: $coefficient, rows: [&mut [u8]; 3]) {
            let factor = factor(f);
            let width = rows[0].len();
            let rows = rows.map(|row| row.as_mut_ptr());
            for column in (0..width).step_by($bytes) {
                // SAFETY: within the rows, as the caller promises.
                unsafe {
                    let [x, y, z] = [load(rows[0].add(column)), load(rows[1].add(column)), load(rows[2].add(column))];
                    let both = add(y, z);
                    let rest = add(x, product(factor, split(both)));
                    store(rows[0].add(column), add(x, both));
                    store(rows[1].add(column), add(rest, y));
                    store(rows[2].add(column), add(rest, z));
                }
            }
        }
    };
}
