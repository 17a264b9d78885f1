package augment

import "trainer/nn/setting"

// Kind is a kind of transform that recipes can name. Its settings are those of the transform that New returns.
type Kind = setting.Kind[Transform]

// Kinds returns the kinds of transforms of this package, in the order in which a reader meets them. Each is declared in its
// transform's file. A program adds its own by appending to the list that it gives to package recipe.
func Kinds() []Kind {
	return []Kind{
		flipKind(),
		alternatingFlipKind(),
		shiftKind(),
		resizedCropKind(),
		rotateKind(),
		shearKind(),
		brightnessKind(),
		contrastKind(),
		saturationKind(),
		grayKind(),
		hueKind(),
		blurKind(),
		sharpnessKind(),
		posterizeKind(),
		solarizeKind(),
		autoContrastKind(),
		equalizeKind(),
		cutoutKind(),
		erasingKind(),
		mixupKind(),
		cutMixKind(),
		trivialAugmentKind(),
	}
}
