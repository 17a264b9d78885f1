//go:build amd64 && !noasm

package vector

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set, which this processor must support.
func For(set simd.Set) *Kernels {
	switch set {
	case simd.AVX512:
		return avx512()
	case simd.AVX2:
		return avx2()
	}
	return generic()
}

// avx512 returns the kernels of kernels_amd64.s whose names begin with avx512.
func avx512() *Kernels {
	activations := avx512Activations()
	return &Kernels{
		Name:              "avx512",
		Activations:       activations,
		ReLU:              activations["relu"],
		Affine:            affineOf(avx512Affine),
		AffineReLU:        affineOf(avx512AffineReLU),
		CombineAffine:     combineAffineOf(avx512CombineAffine),
		CombineAffineReLU: combineAffineReLUOf(avx512CombineAffineReLU),
		AddColumns:        addColumnsOf(avx512AddColumns),
		AddMoments:        addMomentsOf(avx512AddMoments),
		AddProducts:       addProductsOf(avx512AddProducts),
		AddProductsReLU:   addProductsReLUOf(avx512AddProductsReLU),
		AffineRows:        affineRowsOf(avx512AffineRows),
		CombineRows:       combineRowsOf(avx512CombineRows),
		RowSums:           rowSumsOf(avx512RowSums),
		RowProducts:       rowProductsOf(avx512RowProducts),
		RowMoments:        rowMomentsOf(avx512RowMoments),
		AddRowProducts:    addRowProductsOf(avx512AddRowProducts),
		RowGradients:      rowGradientsOf(avx512RowGradients),
		Scaled:            forwardOf(avx512Scaled),
		WeightedSum:       weightedSumOf(avx512WeightedSum),
		Map: Map{
			Linear:     mapOneOf(avx512Linear),
			Square:     mapOneOf(avx512Square),
			Abs:        mapOneOf(avx512Abs),
			Sign:       mapOneOf(avx512Sign),
			Sqrt:       mapOneOf(avx512Sqrt),
			Rsqrt:      mapOneOf(avx512Rsqrt),
			Reciprocal: mapOneOf(avx512Reciprocal),
			Quotient:   mapTwoOf(avx512Quotient),
			Larger:     mapTwoOf(avx512Larger),
			Smaller:    mapTwoOf(avx512Smaller),
			Greater:    mapTwoOf(avx512Greater),
			Select:     mapTwoOf(avx512Select),
		},
		Product:           productOf(avx512Product),
		AddRows:           addRowsOf(avx512AddRows),
		Sum:               sumOf(avx512Sum),
		SumSquares:        sumOf(avx512SumSquares),
		Dot:               dotOf(avx512Dot),
		Exponentials:      exponentialsOf(avx512Exponentials),
		SumOfExponentials: sumOfExponentialsOf(avx512SumOfExponentials),
		Correlate:         correlateOf(avx512Correlate),
		CorrelateFilter: correlateFilters{
			avx512CorrelateFilter3x3, avx512CorrelateFilter2x5, avx512CorrelateFilter1x5, avx512CorrelateFilter1x4, avx512CorrelateFilter1x3,
			avx512CorrelateFilter1x2, avx512CorrelateFilter1x1,
		}.filterOf(),
		Correlate3x3: orStream(correlate3x3Of(avx512Correlate3x3Rows4, avx512Correlate3x3Rows2, avx512Correlate3x3Rows1),
			16, avx512Fence, avx512Correlate3x3Stream4, avx512Correlate3x3Stream2, avx512Correlate3x3Stream1),
		CorrelateFilter3x3: correlateFilter3x3Of(avx512CorrelateFilter3x3Rows4, avx512CorrelateFilter3x3Rows2, avx512CorrelateFilter3x3Rows1),
		Transpose:          transposeOf(avx512Transpose, 16),
		Pool8: Pool[uint8]{
			Max2x2:     max2x2Of(avx512MaxPool2x2),
			Max2x2ReLU: max2x2Of(avx512MaxPool2x2ReLU),
			Max:        maxPoolOf(avx512MaxPool),
			ReLU:       poolReLUOf(avx512PoolReLU),
			Gather2x2:  gather2x2Of(avx512Gather2x2),
			Gather:     gatherOf(avx512Gather),
			GatherAdd:  gatherOf(avx512GatherAdd),
		},
		Pool32:  genericPool[int32](),
		Dropout: dropoutOf(avx512Dropout, 32),
		Update: Update{
			SGD:             updateOf(avx512SGD),
			SGDMomentum:     update1Of(avx512SGDMomentum),
			SGDNesterov:     update1Of(avx512SGDNesterov),
			Adam:            update2Of(avx512Adam),
			RMSProp:         update1Of(avx512RMSProp),
			RMSPropMomentum: update2Of(avx512RMSPropMomentum),
		},
	}
}

// avx2 returns the kernels of kernels_amd64.s whose names begin with avx2.
func avx2() *Kernels {
	activations := avx2Activations()
	return &Kernels{
		Name:              "avx2",
		Activations:       activations,
		ReLU:              activations["relu"],
		Affine:            affineOf(avx2Affine),
		AffineReLU:        affineOf(avx2AffineReLU),
		CombineAffine:     combineAffineOf(avx2CombineAffine),
		CombineAffineReLU: combineAffineReLUOf(avx2CombineAffineReLU),
		AddColumns:        addColumnsOf(avx2AddColumns),
		AddMoments:        addMomentsOf(avx2AddMoments),
		AddProducts:       addProductsOf(avx2AddProducts),
		AddProductsReLU:   addProductsReLUOf(avx2AddProductsReLU),
		AffineRows:        affineRowsOf(avx2AffineRows),
		CombineRows:       combineRowsOf(avx2CombineRows),
		RowSums:           rowSumsOf(avx2RowSums),
		RowProducts:       rowProductsOf(avx2RowProducts),
		RowMoments:        rowMomentsOf(avx2RowMoments),
		AddRowProducts:    addRowProductsOf(avx2AddRowProducts),
		RowGradients:      rowGradientsOf(avx2RowGradients),
		Scaled:            forwardOf(avx2Scaled),
		WeightedSum:       weightedSumOf(avx2WeightedSum),
		Map: Map{
			Linear:     mapOneOf(avx2Linear),
			Square:     mapOneOf(avx2Square),
			Abs:        mapOneOf(avx2Abs),
			Sign:       mapOneOf(avx2Sign),
			Sqrt:       mapOneOf(avx2Sqrt),
			Rsqrt:      mapOneOf(avx2Rsqrt),
			Reciprocal: mapOneOf(avx2Reciprocal),
			Quotient:   mapTwoOf(avx2Quotient),
			Larger:     mapTwoOf(avx2Larger),
			Smaller:    mapTwoOf(avx2Smaller),
			Greater:    mapTwoOf(avx2Greater),
			Select:     mapTwoOf(avx2Select),
		},
		Product:           productOf(avx2Product),
		AddRows:           addRowsOf(avx2AddRows),
		Sum:               sumOf(avx2Sum),
		SumSquares:        sumOf(avx2SumSquares),
		Dot:               dotOf(avx2Dot),
		Exponentials:      exponentialsOf(avx2Exponentials),
		SumOfExponentials: sumOfExponentialsOf(avx2SumOfExponentials),
		Correlate:         correlateOf(avx2Correlate),
		CorrelateFilter: correlateFilters{
			avx2CorrelateFilter3x3, avx2CorrelateFilter2x5, avx2CorrelateFilter1x5, avx2CorrelateFilter1x4, avx2CorrelateFilter1x3,
			avx2CorrelateFilter1x2, avx2CorrelateFilter1x1,
		}.filterOf(),
		Correlate3x3:       correlate3x3Of(avx2Correlate3x3Rows2, avx2Correlate3x3Rows1),
		CorrelateFilter3x3: correlateFilter3x3Of(avx2CorrelateFilter3x3Rows1),
		Transpose:          transposeOf(avx2Transpose, 8),
		Pool8: Pool[uint8]{
			Max2x2:     max2x2Of(avx2MaxPool2x2),
			Max2x2ReLU: max2x2Of(avx2MaxPool2x2ReLU),
			Max:        maxPoolOf(avx2MaxPool),
			ReLU:       poolReLUOf(avx2PoolReLU),
			Gather2x2:  gather2x2Of(avx2Gather2x2),
			Gather:     gatherOf(avx2Gather),
			GatherAdd:  gatherOf(avx2GatherAdd),
		},
		Pool32:  genericPool[int32](),
		Dropout: dropoutOf(avx2Dropout, 16),
		Update: Update{
			SGD:             updateOf(avx2SGD),
			SGDMomentum:     update1Of(avx2SGDMomentum),
			SGDNesterov:     update1Of(avx2SGDNesterov),
			Adam:            update2Of(avx2Adam),
			RMSProp:         update1Of(avx2RMSProp),
			RMSPropMomentum: update2Of(avx2RMSPropMomentum),
		},
	}
}
