// Command generate writes the kernels of package vector for amd64, and for its activations the Go loops and the
// tables that name all of them:
//
//	go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg vector -loops ../activation_loops.go -tables ../activations_amd64.go
//
// Each is emitted twice, for AVX-512 (F, BW, DQ and VL) and for AVX2 with FMA. A loop runs
// over whole vectors; the remaining elements are loaded and stored under a mask, or one by
// one, so that no element outside the operands is read or written.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	loopsPath := flag.String("loops", "", "`file` for the activations' Go loops")
	tablesPath := flag.String("tables", "", "`file` for the tables of their kernels")
	ConstraintExpr("amd64,!noasm")
	for _, m := range []*machine{avx512(), avx2()} {
		for _, a := range activations() {
			a.emit(m)
		}
		affine(m, false)
		affine(m, true)
		combineAffine(m, false)
		combineAffine(m, true)
		columnSums{name: "AddColumns", doc: "sum += x, column by column."}.emit(m)
		columnSums{name: "AddMoments", doc: "sum += x and second += x^2, column by column.", second: true}.emit(m)
		columnSums{name: "AddProducts", doc: "sum += dy and second += dy*x, column by column.", second: true, products: true}.emit(m)
		columnSums{name: "AddProductsReLU", doc: "is AddProducts of dy where scale*x + shift > 0, else 0.", second: true, products: true, gated: true}.emit(m)
		rows(m)
		linear(m)
		sum(m, false)
		sum(m, true)
		maps(m)
		maxPool2x2(m, false)
		maxPool2x2(m, true)
		maxPool(m)
		poolReLU(m)
		gather2x2(m)
		gather(m, false)
		gather(m, true)
		optimizers(m)
		dropout(m)
		exponentials(m, false)
		exponentials(m, true)
		correlations(m)
		bands(m)
		transpose(m)
	}
	Generate() // parses the flags
	for path, text := range map[string]string{*loopsPath: loops, *tablesPath: tablesOfKernels} {
		if path == "" {
			continue
		}
		if err := writeGo(path, text); err != nil {
			log.Fatal(err)
		}
	}
}
