package model

import (
	"errors"

	"trainer/nn/recipe"
	"trainer/nn/train"
)

// SetTemperature writes a temperature into a model file, or into the model of a run's folder: see Info.Temperature. The
// weights stay as they are. Afterwards the file is complete or, after an error, unchanged.
func SetTemperature(path string, temperature float64) error {
	file, err := Locate(path)
	if err != nil {
		return err
	}
	if isONNX(file) {
		return errorf(file, "an exported model can't be changed: change the model and export it again")
	}
	meta, err := train.WeightsMetadata(file)
	if err != nil {
		return err
	}
	info, err := readInfo(meta)
	if errors.Is(err, ErrNoModel) {
		return errorf(file, "an older model can't be changed: train it again")
	}
	if err != nil {
		return &Error{file, err}
	}
	info.Temperature = temperature
	var layout Layout
	if err := decodeStrictly(meta[keyLayout], &layout); err != nil {
		return &Error{file, err}
	}
	if meta, err = info.metadata(layout); err != nil {
		return &Error{file, err}
	}
	return train.RewriteMetadata(file, meta)
}

// ReadRecipe returns the recipe of a model, or nil if its network was written in Go.
func (i *Info) ReadRecipe(kinds recipe.Kinds) (*recipe.Recipe, error) {
	if i.Recipe == "" {
		return nil, nil
	}
	return kinds.Parse("recipe of the model", []byte(i.Recipe))
}
