ARG NODE_IMAGE=node:24.21.0-bookworm-slim
FROM ${NODE_IMAGE}
RUN npm install -g --ignore-scripts --no-audit --no-fund maildev@2.2.1
EXPOSE 1025 1080
CMD ["maildev"]
