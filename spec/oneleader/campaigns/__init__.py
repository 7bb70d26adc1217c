"""Many runs, over all cores or a Dask cluster, with a journal."""
