package nn

import "trainer/nn/setting"

// LayerKind describes a kind of layer for recipes, listings and figures. Its settings are those
// of the layer that New returns (see package setting).
type LayerKind struct {
	Name   string // what Layer.Kind returns, and "layer" in recipes
	Doc    string // what the layer does: one phrase in lower case
	Family Family
	New    func() Layer // returns the layer with all settings zero
}

// Family groups kinds of layers; figures draw each family in its own colour.
type Family string

// The families, in the order of a figure's legend.
const (
	WithWeights   Family = "layer with weights"
	Pooling       Family = "pooling"
	Normalisation Family = "normalisation"
	Activation    Family = "activation"
	Regulariser   Family = "dropout" // active in training only
	Scaling       Family = "scale"
	Reshaping     Family = "reshaping"
	Joining       Family = "joining" // of branches
	OtherFamily   Family = "other"
)

// Families returns all families, in the order of a figure's legend.
func Families() []Family {
	return []Family{WithWeights, Pooling, Normalisation, Activation, Regulariser, Scaling, Reshaping, Joining, OtherFamily}
}

// FamilyOf returns the family of the kind of that name.
func FamilyOf(kinds []LayerKind, name string) Family {
	for _, k := range kinds {
		if k.Name == name && k.Family != "" {
			return k.Family
		}
	}
	return OtherFamily
}

// LayerKinds returns the kinds of layers of this package, in the order in which a reader meets them. Each is
// declared in its layer's file. A program adds its own by appending to the list that it gives to package recipe.
func LayerKinds() []LayerKind {
	return []LayerKind{
		conv2DKind(), convTranspose2DKind(), denseKind(), maxPool2DKind(), avgPool2DKind(), globalAvgPoolKind(), globalMaxPoolKind(), batchNormKind(),
		layerNormKind(), groupNormKind(),
		reluKind(), leakyReLUKind(), geluKind(), sigmoidKind(), tanhKind(), siluKind(),
		hardSwishKind(), eluKind(), softplusKind(), mishKind(), preluKind(),
		flattenKind(), upSampleKind(), dropoutKind(), scaleKind(), channelScaleKind(), residualKind(), concatKind(),
	}
}

// InitializerKind is a kind of initialiser that recipes can name.
type InitializerKind = setting.Kind[Initializer]

// InitializerKinds returns the kinds of initialisers of this package. Each is declared in its type's file.
func InitializerKinds() []InitializerKind {
	return []InitializerKind{
		pyTorchDefaultKind(), heNormalKind(), heUniformKind(), glorotNormalKind(), glorotUniformKind(),
		leCunNormalKind(), orthogonalKind(), diracKind(), whiteningKind(), constantKind(),
	}
}

// LossKind is a kind of loss that recipes can name.
type LossKind = setting.Kind[Loss]

// LossKinds returns the kinds of losses of this package. Each is declared in its loss's file.
func LossKinds() []LossKind {
	return []LossKind{crossEntropyKind(), meanSquaredErrorKind(), focalKind()}
}
