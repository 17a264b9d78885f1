// Package metric measures how good the answers of a classifier are: accuracy, precision, recall and F1 of each class,
// calibration, and the differences between two classifiers.
//
// It works on Answers, one per image, so that a set of any size can be measured while it is being evaluated.
package metric
