package data

import (
	"context"
	"errors"
)

const parquetMagic = "PAR1"

// openParquet refuses: a page doesn't need the library for Parquet files, which would be a third of what it loads.
func openParquet(context.Context, string, string, osTree, []string, Options) (*Dataset, error) {
	return nil, errors.New("Parquet files can't be read in a browser")
}
