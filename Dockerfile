# Synthoma on the processor, as a user without rights.
#   docker build -t synthoma .
#   docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD:/data" synthoma run scans -o out --minutes 10
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
# Where PyTorch without CUDA comes from; the index of all others brings several GB of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /tmp/wheels
RUN grep '^torch==' /tmp/constraints.txt > /tmp/torch.txt \
 && pip install --no-cache-dir --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple \
      "$(cat /tmp/torch.txt)+cpu" \
 && pip install --no-cache-dir --constraint /tmp/constraints.txt /tmp/wheels/*.whl \
 && rm -r /tmp/wheels /tmp/constraints.txt /tmp/torch.txt \
 && useradd --create-home --uid 1000 synthoma
USER synthoma
# Any user id may run it: what is kept (the key of pseudonyms, caches of drawing) lies where all may write.
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
ENTRYPOINT ["synthoma"]
CMD ["--help"]
