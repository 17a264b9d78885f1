//go:build !unix

package data

import "errors"

func mkfifo(string) error { return errors.New("there are no named pipes here") }
