// Makes parity in memory by one thread with github.com/klauspost/reedsolomon.
//
// Prints a line "ROOTS MIB_PER_SECOND" for 2, 8 and 24 roots. Its code has another generator matrix, so that its parity
// is not ours; the work is the same, a product of each byte for each root. As in our own benchmark, 512 KiB are read.
package main

import (
	"fmt"
	"log"
	"runtime"
	"time"

	"github.com/klauspost/reedsolomon"
)

const (
	symbols   = 255
	codewords = 2048
	// For how long each is measured.
	duration = 200 * time.Millisecond
)

func main() {
	runtime.GOMAXPROCS(1)
	for _, roots := range []int{2, 8, 24} {
		encoder, err := reedsolomon.New(symbols-roots, roots, reedsolomon.WithMaxGoroutines(1))
		if err != nil {
			log.Fatal(err)
		}
		rows := make([][]byte, symbols)
		for row := range rows {
			rows[row] = make([]byte, codewords)
			for i := range rows[row] {
				rows[row][i] = 0x5a
			}
		}
		start := time.Now()
		rounds := 0
		for ; time.Since(start) < duration; rounds++ {
			if err := encoder.Encode(rows); err != nil {
				log.Fatal(err)
			}
		}
		mib := float64(rounds) * float64(symbols-roots) * codewords / (1 << 20)
		fmt.Printf("%d %.1f\n", roots, mib/time.Since(start).Seconds())
	}
}
