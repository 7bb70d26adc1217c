module old

go 1.26

require (
	go.etcd.io/etcd v0.0.0-20191023171146-3cf2f69b5738
	peers v0.0.0
)

replace peers => ../go
