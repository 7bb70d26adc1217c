module old

go 1.26

require (
	go.etcd.io/etcd v0.0.0-20191023171146-3cf2f69b5738
	peers v0.0.0
)

require (
	github.com/gogo/protobuf v1.2.1 // indirect
	github.com/golang/protobuf v1.3.2 // indirect
)

replace peers => ../go
