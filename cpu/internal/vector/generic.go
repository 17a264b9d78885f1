package vector

// generic returns the loops in Go, for processors without kernels of their own.
func generic() *Kernels {
	return &Kernels{
		Name:              "generic",
		ReLU:              Activation{reluForward, reluBackward},
		LeakyReLU:         Activation{leakyReLUForward, leakyReLUBackward},
		GELU:              Activation{geluForward, geluBackward},
		GELUTanh:          Activation{geluTanhForward, geluTanhBackward},
		Sigmoid:           Activation{sigmoidForward, sigmoidBackward},
		Tanh:              Activation{tanhForward, tanhBackward},
		SiLU:              Activation{siluForward, siluBackward},
		Affine:            affine,
		AffineReLU:        affineReLU,
		CombineAffine:     combineAffine,
		CombineAffineReLU: combineAffineReLU,
		AddColumns:        addColumns,
		AddMoments:        addMoments,
		AddProducts:       addProducts,
		AddProductsReLU:   addProductsReLU,
		Scaled:            scaled,
		WeightedSum:       weightedSum,
		Map: Map{
			Linear: linear, Square: square, Abs: absolute, Sign: sign, Sqrt: squareRoot, Rsqrt: reciprocalRoot, Reciprocal: reciprocal,
			Quotient: quotient, Larger: largerOf, Smaller: smallerOf, Greater: greater, Select: selected,
		},
		Product:           product,
		AddRows:           addRows,
		Sum:               sum,
		SumSquares:        sumSquares,
		Dot:               dot,
		Exponentials:      exponentials,
		SumOfExponentials: sumOfExponentials,
		Pool8:             genericPool[uint8](),
		Pool32:            genericPool[int32](),
		Dropout:           dropout,
		Update: Update{
			SGD: sgd, SGDMomentum: sgdMomentum, SGDNesterov: sgdNesterov,
			Adam: adam, RMSProp: rmsProp, RMSPropMomentum: rmsPropMomentum,
		},
	}
}
