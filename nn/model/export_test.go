package model

// ParseInfo is readInfo, for tests.
var ParseInfo = readInfo
