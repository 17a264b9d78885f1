// Package model keeps trained networks in files and asks them about pictures.
//
//	m, err := model.Open("runs/2026-11-27-mnist-mnist/model.safetensors", dev)
//	...
//	predictions, err := m.Predict(picture)
//	fmt.Printf("%s, %.1f%%\n", predictions[0].Name, 100*predictions[0].Probability)
//
// A model file is a safetensors file (https://huggingface.co/docs/safetensors) that holds all that is needed: the weights
// as tensors, and everything else, an Info, in the metadata:
//
//	trainer.model   the version of this list, 1
//	recipe          the recipe in TOML, in which the network is described; "" if the network was written in Go
//	classes         JSON: the names of the classes, in the order of the network's outputs
//	images          JSON: how a picture becomes the network's input, see Images
//	layout          JSON: the order of the dimensions of each tensor, see Layout
//	run             JSON: where the model comes from, see Run
//	temperature     the calibration of the probabilities, if there is one
//
// A probability is exp(z[k] / T) / sum over j of exp(z[j] / T) for the network's outputs z and the temperature T (Guo et
// al., "On Calibration of Modern Neural Networks", ICML 2017), which is 1 without a calibration.
package model
