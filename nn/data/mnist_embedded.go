//go:build !js

package data

import "embed"

//go:embed mnist/*.gz
var mnistFiles embed.FS
