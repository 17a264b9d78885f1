package model

// ParseInfo is readInfo, for tests.
var ParseInfo = readInfo

// ParseONNX returns the metadata of an ONNX file's contents.
func ParseONNX(content []byte) (map[string]string, error) {
	f := &onnxFile{metadata: map[string]string{}, tensors: map[string][]byte{}}
	return f.metadata, f.parse(content)
}
