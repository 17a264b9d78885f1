package vector

// generic returns the loops in Go, for processors without generated kernels.
func generic() *Kernels {
	activations := activationLoops()
	return &Kernels{
		Name:              "generic",
		Activations:       activations,
		ReLU:              activations["relu"],
		Affine:            affine,
		AffineReLU:        affineReLU,
		CombineAffine:     combineAffine,
		CombineAffineReLU: combineAffineReLU,
		AddColumns:        addColumns,
		AddMoments:        addMoments,
		AddProducts:       addProducts,
		AddProductsReLU:   addProductsReLU,
		AffineRows:        affineRows,
		CombineRows:       combineRows,
		RowSums:           rowSums,
		RowProducts:       rowProducts,
		RowMoments:        rowMoments,
		AddRowProducts:    addRowProducts,
		RowGradients:      rowGradients,
		Scaled:            scaled,
		WeightedSum:       weightedSum,
		Map: Map{
			Linear: linear, Square: square, Abs: absolute, Sign: sign, Sqrt: squareRoot, Rsqrt: reciprocalRoot, Reciprocal: reciprocal,
			Quotient: quotient, Larger: largerOf, Smaller: smallerOf, Greater: greater, Select: selected,
		},
		Product:            product,
		AddRows:            addRows,
		Sum:                sum,
		SumSquares:         sumSquares,
		Dot:                dot,
		Exponentials:       exponentials,
		SumOfExponentials:  sumOfExponentials,
		Correlate:          correlate,
		CorrelateFilter:    correlateFilter,
		Correlate3x3:       correlate3x3,
		CorrelateFilter3x3: correlateFilter3x3,
		Transpose:          transpose,
		Pool8:              genericPool[uint8](),
		Pool32:             genericPool[int32](),
		Dropout:            dropout,
		Update: Update{
			SGD: sgd, SGDMomentum: sgdMomentum, SGDNesterov: sgdNesterov,
			Adam: adam, RMSProp: rmsProp, RMSPropMomentum: rmsPropMomentum,
		},
	}
}
