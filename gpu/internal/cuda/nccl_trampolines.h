// The functions of NCCL, by the macros of shim.c. NVIDIA's headers for them are not among those that
// scripts/cuda-headers.sh reads: the interface is small, and nccl.h has it.

STATUS(LIB_NCCL, ncclResult_t, ncclGetVersion, (int *version), (version))
STATUS(LIB_NCCL, ncclResult_t, ncclGetUniqueId, (ncclUniqueId *uniqueId), (uniqueId))
STATUS(LIB_NCCL, ncclResult_t, ncclCommInitRankConfig,
	(ncclComm_t *comm, int nranks, ncclUniqueId commId, int rank, ncclConfig_t *config), (comm, nranks, commId, rank, config))
STATUS(LIB_NCCL, ncclResult_t, ncclCommFinalize, (ncclComm_t comm), (comm))
STATUS(LIB_NCCL, ncclResult_t, ncclCommDestroy, (ncclComm_t comm), (comm))
STATUS(LIB_NCCL, ncclResult_t, ncclCommAbort, (ncclComm_t comm), (comm))
STATUS(LIB_NCCL, ncclResult_t, ncclCommGetAsyncError, (ncclComm_t comm, ncclResult_t *asyncError), (comm, asyncError))
VALUE(LIB_NCCL, const char *, ncclGetLastError, (ncclComm_t comm), (comm))
STATUS(LIB_NCCL, ncclResult_t, ncclGroupStart, (void), ())
STATUS(LIB_NCCL, ncclResult_t, ncclGroupEnd, (void), ())
STATUS(LIB_NCCL, ncclResult_t, ncclAllReduce,
	(const void *sendbuff, void *recvbuff, size_t count, ncclDataType_t datatype, ncclRedOp_t op, ncclComm_t comm, CUstream stream),
	(sendbuff, recvbuff, count, datatype, op, comm, stream))
STATUS(LIB_NCCL, ncclResult_t, ncclAllGather,
	(const void *sendbuff, void *recvbuff, size_t sendcount, ncclDataType_t datatype, ncclComm_t comm, CUstream stream),
	(sendbuff, recvbuff, sendcount, datatype, comm, stream))
STATUS(LIB_NCCL, ncclResult_t, ncclBroadcast,
	(const void *sendbuff, void *recvbuff, size_t count, ncclDataType_t datatype, int root, ncclComm_t comm, CUstream stream),
	(sendbuff, recvbuff, count, datatype, root, comm, stream))
STATUS(LIB_NCCL, ncclResult_t, ncclSend,
	(const void *sendbuff, size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm, CUstream stream),
	(sendbuff, count, datatype, peer, comm, stream))
STATUS(LIB_NCCL, ncclResult_t, ncclRecv,
	(void *recvbuff, size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm, CUstream stream),
	(recvbuff, count, datatype, peer, comm, stream))
