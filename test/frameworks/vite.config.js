// Builds a page for each framework, of the sources that docs/frameworks.md shows.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import react from "@vitejs/plugin-react";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react(), vue(), svelte()],
  build: { rollupOptions: { input: ["index.html", "typescript.html", "react.html", "vue.html", "svelte.html"] } },
});
