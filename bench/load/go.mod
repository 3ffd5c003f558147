module portico.dev/bench/load

go 1.24
